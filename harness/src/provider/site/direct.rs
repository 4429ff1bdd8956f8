//! Asking a tier directly, under a name of its own.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Site, SiteError, server_name};
use crate::{
    environment::{Connection, DirectRequest, Request, TIMEOUT_FLOOR, Tier, real_limit},
    probe::{
        Probe, Recognition,
        http::{HttpProbe, Kept},
    },
};

impl Site {
    /// Sets up a look at a tier that is asked directly. An answer must come within `timeout`, in the architecture's time.
    ///
    /// # Errors
    /// If the URL cannot be used here.
    pub fn prepare_direct(
        &self,
        tier: &str,
        request: &DirectRequest,
        timeout: Duration,
    ) -> Result<Arc<dyn Probe>, SiteError> {
        let wrong = |reason: String| SiteError::Preflight {
            tier: tier.to_owned(),
            reason,
        };
        let url: reqwest::Url = request
            .url
            .parse()
            .map_err(|error| wrong(format!("{error}")))?;
        let host = url
            .host_str()
            .ok_or_else(|| wrong("the URL has no host".into()))?;
        let port = url
            .port_or_known_default()
            .ok_or_else(|| wrong("the URL has no port".into()))?;
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let tls = if url.scheme() == "https" {
            Some((self.tls()?, server_name(host).map_err(wrong)?))
        } else {
            None
        };
        let tiers: Arc<[Tier]> = self.environment.tiers.clone().into();
        let named = url
            .port()
            .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Ok(Arc::new(HttpProbe {
            resolution: self.resolution(host, "resolver").map_err(wrong)?,
            port: self.real_port(port).map_err(wrong)?,
            tls,
            host: request.host_header.clone().unwrap_or(named),
            request: Request {
                method: "GET".to_owned(),
                path,
                headers: BTreeMap::new(),
                form: BTreeMap::new(),
                good_status: vec![200],
                writes: false,
            },
            run: String::new(),
            timeout: real_limit(timeout, self.speed, TIMEOUT_FLOOR),
            connection: Connection::New,
            recognition: Recognition::new(tiers),
            headers: Vec::new(),
            texts: Vec::new(),
            kept: Kept::default(),
        }))
    }
}
