//! Databases and buckets of the `stack:` block.

use std::{collections::BTreeMap, time::Duration};

use blackstart_lab::stack::{Bucket, Database, Protocol, Replication, Standby};

use super::{file, host_name, protocol, ttl, usual_port};
use crate::source::Item;

pub(super) fn database(item: Item<'_>) -> Option<Database> {
    let mut database = item.mapping()?;
    let endpoint = database.require("endpoint", host_name);
    let endpoint_ttl = database.default("endpoint-ttl", Duration::from_secs(5), ttl);
    let standby = database.require("standby", standby);
    let promotion = database.default("promotion", Duration::from_mins(1), Item::duration);
    let client_ttl = database.default("client-ttl", Duration::ZERO, ttl);
    database.finish();
    Some(Database {
        endpoint: endpoint?,
        endpoint_ttl: endpoint_ttl?,
        standby: standby?,
        promotion: promotion?,
        client_ttl: client_ttl?,
    })
}

fn standby(item: Item<'_>) -> Option<Standby> {
    let mut standby = item.mapping()?;
    let replication = standby.default("replication", Replication::Synchronous, |replication| {
        replication.word(&[
            ("synchronous", Replication::Synchronous),
            ("asynchronous", Replication::Asynchronous),
        ])
    });
    let lag_item = standby.optional("lag");
    let lag = lag_item.map_or(Some(Duration::ZERO), Item::duration);
    standby.finish();
    let (replication, lag) = (replication?, lag?);
    if replication == Replication::Synchronous
        && let Some(item) = lag_item
        && !lag.is_zero()
    {
        item.report("a synchronous standby has no lag: write `replication: asynchronous`");
        return None;
    }
    Some(Standby { replication, lag })
}

pub(super) fn bucket(item: Item<'_>) -> Option<Bucket> {
    let mut bucket = item.mapping()?;
    let dns_name = bucket.require("dns-name", host_name);
    let protocol = bucket.default("protocol", Protocol::Https, protocol);
    let port = bucket.default("port", usual_port(protocol), Item::port);
    let objects = bucket.default("objects", BTreeMap::new(), |objects| {
        let entries: Vec<_> = objects
            .entries()?
            .into_iter()
            .map(|(key, value)| {
                if !key.name.starts_with('/') {
                    value.report(format!(
                        "`{}` is the path of no object: paths start with `/`",
                        key.name
                    ));
                    return None;
                }
                file(value).map(|file| (key.name.clone(), file))
            })
            .collect();
        entries.into_iter().collect()
    });
    let replica_of = bucket.maybe("replica-of", Item::text);
    let lag = bucket.default("lag", Duration::from_secs(15), Item::duration);
    let item = bucket.item();
    bucket.finish();
    let (objects, replica_of) = (objects?, replica_of?);
    if replica_of.is_some() && !objects.is_empty() {
        item.report(
            "a replica has the objects of the bucket it is a replica of, and none of its own",
        );
        return None;
    }
    Some(Bucket {
        dns_name: dns_name?,
        protocol: protocol?,
        port: port?,
        objects,
        replica_of,
        lag: lag?,
    })
}
