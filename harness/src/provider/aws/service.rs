//! The services that are asked, and where each is.

use std::time::Duration;

/// A service of AWS.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// What it is called when a request is signed.
    pub(super) signing_name: &'static str,
    /// The first part of its address.
    host: &'static str,
    /// The version of its API, where requests name one.
    pub(super) version: &'static str,
    /// Whether it has one address for all regions.
    is_global: bool,
    /// The shortest time from one request to the next: a limit of the service is for everybody in the account together, and a drill
    /// is not to be what throttles the operator.
    pub(super) pace: Duration,
}

/// From one request to the next where the limit is not known to be low.
const PACE: Duration = Duration::from_millis(100);

const fn regional(name: &'static str, version: &'static str) -> Service {
    Service {
        signing_name: name,
        host: name,
        version,
        is_global: false,
        pace: PACE,
    }
}

pub(super) static EC2: Service = regional("ec2", "2016-11-15");
pub(super) static LOAD_BALANCING: Service = regional("elasticloadbalancing", "2015-12-01");
pub(super) static AUTO_SCALING: Service = regional("autoscaling", "2011-01-01");
pub(super) static RDS: Service = regional("rds", "2014-10-31");
pub(super) static CLOUDWATCH: Service = regional("monitoring", "2010-08-01");
pub(super) static STS: Service = regional("sts", "2011-06-15");
pub(super) static ZONAL_SHIFT: Service = regional("arc-zonal-shift", "");
/// Five requests a second for the whole account (developer guide, "Quotas"): half of that is left to others.
pub(super) static ROUTE_53: Service = Service {
    signing_name: "route53",
    host: "route53",
    version: "2013-04-01",
    is_global: true,
    pace: Duration::from_millis(400),
};

pub(super) static CLOUDFRONT: Service = Service {
    signing_name: "cloudfront",
    host: "cloudfront",
    version: "2020-05-31",
    is_global: true,
    pace: PACE,
};

impl Service {
    /// Its address, and the region that requests to it are signed for.
    pub(super) fn place(&self, region: &str) -> (String, String) {
        let domain = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        if !self.is_global {
            let address = format!("https://{}.{region}.{domain}", self.host);
            return (address, region.to_owned());
        }
        // Each partition has one of its own ("Service endpoints and quotas").
        let (address, signed_for) = if region.starts_with("cn-") {
            (format!("https://{}.{domain}", self.host), "cn-northwest-1")
        } else if region.starts_with("us-gov-") {
            (
                format!("https://{}.us-gov.{domain}", self.host),
                "us-gov-west-1",
            )
        } else {
            (format!("https://{}.{domain}", self.host), "us-east-1")
        };
        (address, signed_for.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_is_where_its_partition_has_it() {
        for (service, region, address, signed_for) in [
            (
                &EC2,
                "eu-central-1",
                "https://ec2.eu-central-1.amazonaws.com",
                "eu-central-1",
            ),
            (
                &RDS,
                "cn-north-1",
                "https://rds.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
            ),
            (
                &ROUTE_53,
                "eu-central-1",
                "https://route53.amazonaws.com",
                "us-east-1",
            ),
            (
                &ROUTE_53,
                "cn-north-1",
                "https://route53.amazonaws.com.cn",
                "cn-northwest-1",
            ),
            (
                &ROUTE_53,
                "us-gov-east-1",
                "https://route53.us-gov.amazonaws.com",
                "us-gov-west-1",
            ),
        ] {
            let place = service.place(region);
            assert_eq!(place, (address.to_owned(), signed_for.to_owned()));
        }
    }
}
