//! An environment file's tree made into an [`Environment`]. Everything that is wrong is reported in one pass.

use std::{collections::BTreeMap, time::Duration};

use blackstart_lab::control::{Resource, ResourceKind};

use super::{
    Connection, DirectRequest, DnsCache, DnsProbe, DnsType, DnsView, Environment, Family, Governs,
    HeaderMatch, HttpProbe, Ledger, Observer, Probe, Recognise, Request, Service, Target, Tier,
    aws, azure, binding::Binding, docker, kubernetes, limits, notify, programs, references, stack,
};
use crate::{
    drill::{Located, abort_if},
    source::{Context, Document, Item, Problem, Problems},
};

const EVERY: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
/// Below the second after which a lost SYN is sent again.
const GOOD_WITHIN: Duration = Duration::from_millis(800);
const OBSERVED_EVERY: Duration = Duration::from_secs(2);

/// The methods that a request can have.
pub(crate) const METHODS: [&str; 7] = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"];

/// Headers that follow from something else, with what, and what to write instead.
const OWN_HEADERS: [(&str, &str, &str); 4] = [
    (
        "host",
        "the Host header follows from the URL",
        "a probe asks another host with `host:`",
    ),
    (
        "connection",
        "the Connection header follows from what becomes of the probe's connection",
        "write `connection: new` or `connection: keep-alive` at the probe",
    ),
    (
        "content-length",
        "the Content-Length header follows from the form",
        "leave it out",
    ),
    (
        "transfer-encoding",
        "the Transfer-Encoding header follows from the form, which is sent in one piece",
        "leave it out",
    ),
];

/// Words of a path that name no tier.
pub(crate) const RESERVED: [&str; 2] = ["down", "*"];

pub(crate) fn decode(document: &Document) -> (Option<Environment>, Problems) {
    let context = Context::of(document);
    let environment = decode_file(&context, document);
    if let Some(environment) = &environment
        && !context.is_copy()
    {
        references::check(&context, document, environment);
    }
    let problems = context.into_problems();
    (environment.filter(|_| !problems.has_errors()), problems)
}

fn decode_file(context: &Context<'_>, document: &Document) -> Option<Environment> {
    let mut file = Item::new(context, &document.root, "the file").mapping()?;
    let name = file.require("environment", Item::name);
    let about = file.default("about", String::new(), Item::text);
    let speed = file.default("speed", 1.0, |speed| speed.number(super::SPEEDS));
    let service = file.require("service", service);
    let tiers = file.require("tiers", |tiers| tiers.filled_list_of(tier));
    let probes = file.require("probes", |probes| {
        let host = service
            .as_ref()
            .and_then(|service| service.host())
            .unwrap_or_default();
        probes.filled_list_of(|item| probe(item, host))
    });
    let observers = file.default("observers", Vec::new(), |observers| {
        observers.list_of(observer)
    });
    let ledger = file.maybe("ledger", ledger);
    let docker = file.maybe("docker", docker::decode);
    let azure = file.maybe("azure", azure::decode);
    let kubernetes = file.maybe("kubernetes", kubernetes::decode);
    let aws = file.maybe("aws", aws::decode);
    let targets = file.default("targets", BTreeMap::new(), |item| {
        targets(
            item,
            &Common {
                docker: docker.as_ref().and_then(Option::as_ref),
                azure: azure.as_ref().and_then(Option::as_ref),
                kubernetes: kubernetes.as_ref().and_then(Option::as_ref),
                aws: aws.as_ref().and_then(Option::as_ref),
            },
        )
    });
    let limits = file.default("limits", super::Limits::default(), limits::decode);
    let abort_if = file.default("abort-if", Vec::new(), abort_if::decode);
    // Of a copy, who was told is of no interest any more.
    let notify = file.default("notify", Vec::new(), |item| {
        if context.is_copy() {
            return Some(Vec::new());
        }
        notify::decode(item)
    });
    let protected = file.default("protected", false, protected);
    // Of a copy, what the lab stood in for is of no interest any more.
    let stack = file.maybe("stack", |item| {
        if context.is_copy() {
            return Some(None);
        }
        stack::decode(item).map(Some)
    });
    file.finish();
    let service = service?;
    let governs = Governs::of(document, service.host().unwrap_or_default());
    Some(Environment {
        name: name?,
        about: about?,
        speed: speed?,
        service,
        tiers: tiers?,
        probes: probes?,
        observers: observers?,
        ledger: ledger?,
        docker: docker?,
        azure: azure?,
        kubernetes: kubernetes?,
        aws: aws?,
        targets: targets?,
        limits: limits?,
        abort_if: abort_if?,
        notify: notify?,
        protected: protected?,
        stack: stack?.flatten(),
        governs,
        file: document.file.clone(),
        text: document.text.to_string(),
        variables: document.variables.with_words(context.words()),
    })
}

fn service(item: Item<'_>) -> Option<Service> {
    let mut mapping = item.mapping()?;
    let url = mapping.require("url", url);
    let path = url
        .as_deref()
        .and_then(|url| url.parse::<http::Uri>().ok())
        .map_or_else(
            || "/".to_owned(),
            |url| {
                url.path_and_query()
                    .map_or("/", http::uri::PathAndQuery::as_str)
                    .to_owned()
            },
        );
    let requests = mapping.default("requests", BTreeMap::new(), |requests| {
        let entries: Vec<_> = requests
            .named_entries()?
            .into_iter()
            .map(|(key, item)| request(item, &path).map(|request| (key.name.clone(), request)))
            .collect();
        entries.into_iter().collect::<Option<BTreeMap<_, _>>>()
    });
    mapping.finish();
    let mut requests = requests?;
    requests
        .entry("read".to_owned())
        .or_insert_with(|| Request {
            method: "GET".to_owned(),
            path,
            headers: BTreeMap::new(),
            form: BTreeMap::new(),
            good_status: vec![200],
            writes: false,
        });
    Some(Service {
        url: url?,
        requests,
    })
}

pub(super) fn url(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    if item.may_stand_for_a_secret() {
        return Some(text);
    }
    let parsed = text.parse::<http::Uri>().ok();
    let scheme = parsed.as_ref().and_then(http::Uri::scheme_str);
    let host = parsed
        .as_ref()
        .and_then(http::Uri::host)
        .filter(|host| !host.is_empty());
    let message = match (scheme, host) {
        (Some("http" | "https"), Some(_)) => {
            if text.contains('@') {
                "must not hold a user name: send it as a header of the request"
            } else {
                return Some(text);
            }
        }
        (Some("http" | "https"), None) => "has no host",
        _ => "is not a URL that starts with `http://` or `https://`",
    };
    item.report(format!("{} {message}", item.shown()));
    None
}

fn request(item: Item<'_>, service_path: &str) -> Option<Request> {
    let mut mapping = item.mapping()?;
    let method_item = mapping.optional("method");
    let method = method_item.map_or_else(|| Some("GET".to_owned()), method);
    let path = mapping.default("path", service_path.to_owned(), Item::path);
    let headers = mapping.default("headers", BTreeMap::new(), headers);
    let form_item = mapping.optional("form");
    let form = form_item.map_or_else(|| Some(BTreeMap::new()), texts);
    let good_status = mapping.default("good-status", vec![200], |codes| {
        codes.filled_list_of(Item::status)
    });
    let writes = mapping.maybe("writes", Item::boolean);
    mapping.finish();
    let method = method?;
    let safe = matches!(method.as_str(), "GET" | "HEAD" | "OPTIONS");
    if safe && let Some(form) = form_item {
        form.report(format!("a {method} request sends no form"));
        return None;
    }
    let writes = writes?.unwrap_or(!safe);
    Some(Request {
        method,
        path: path?,
        headers: headers?,
        form: form?,
        good_status: good_status?,
        writes,
    })
}

fn method(item: Item<'_>) -> Option<String> {
    item.word(&METHODS.map(|word| (word, word)))
        .map(str::to_owned)
}

fn texts(item: Item<'_>) -> Option<BTreeMap<String, String>> {
    let entries: Vec<_> = item
        .entries()?
        .into_iter()
        .map(|(key, value)| value.text().map(|text| (key.name.clone(), text)))
        .collect();
    entries.into_iter().collect()
}

pub(super) fn headers(item: Item<'_>) -> Option<BTreeMap<String, String>> {
    let mut sound = true;
    for (key, value) in item.entries()? {
        if key.name.parse::<http::HeaderName>().is_err() {
            item.context().push(Problem::error(
                item.context().file(),
                key.place,
                format!("`{}` is not the name of a header", key.name),
            ));
            sound = false;
        } else if let Some((_, message, hint)) = OWN_HEADERS
            .iter()
            .find(|(name, ..)| key.name.eq_ignore_ascii_case(name))
        {
            item.context()
                .push(Problem::error(item.context().file(), key.place, *message).with_hint(*hint));
            sound = false;
        } else if let Some(text) = value.text()
            && text.parse::<http::HeaderValue>().is_err()
            && !value.may_stand_for_a_secret()
        {
            value.report(format!("{} is not the value of a header", value.shown()));
            sound = false;
        }
    }
    texts(item).filter(|_| sound)
}

fn tier(item: Item<'_>) -> Option<Tier> {
    let mut mapping = item.mapping()?;
    let name = mapping.require("tier", |name| {
        if RESERVED.iter().any(|reserved| name.is_text(reserved)) {
            name.report(format!(
                "{} stands for something else in a path",
                name.shown()
            ));
            return None;
        }
        name.name()
    });
    let about = mapping.default("about", String::new(), Item::text);
    let recognise = mapping.require("recognise", |item| {
        let mut mapping = item.mapping()?;
        let header = mapping.maybe("header", header_match);
        let body = mapping.maybe("body", Item::text);
        let certificate = mapping.maybe("certificate", Item::text);
        let dns = mapping.maybe("dns", Item::text);
        mapping.finish();
        let recognise = Recognise {
            header: header?,
            body: body?,
            certificate: certificate?,
            dns: dns?,
        };
        if recognise == Recognise::default() {
            item.context()
                .push(item.problem("nothing recognises this tier").with_hint(
                    "give a `header`, `body`, `certificate` or `dns` that only its answers have",
                ));
            return None;
        }
        Some(recognise)
    });
    let preflight = mapping.maybe("preflight", direct_request);
    mapping.finish();
    Some(Tier {
        name: name?,
        about: about?,
        recognise: recognise?,
        preflight: preflight?,
    })
}

fn direct_request(item: Item<'_>) -> Option<DirectRequest> {
    let mut mapping = item.mapping()?;
    let url = mapping.require("url", url);
    let host_header = mapping.maybe("host-header", host_name);
    mapping.finish();
    Some(DirectRequest {
        url: url?,
        host_header: host_header?,
    })
}

/// Whether an environment is protected must not hang on what happens to be set in somebody's shell.
fn protected(item: Item<'_>) -> Option<bool> {
    if item.is_filled() {
        item.report("whether an environment is protected cannot come from a variable");
        return None;
    }
    item.boolean()
}

fn header_match(item: Item<'_>) -> Option<HeaderMatch> {
    let mut mapping = item.mapping()?;
    let name = mapping.require("name", Item::header_name);
    let contains = mapping.require("contains", Item::text);
    mapping.finish();
    Some(HeaderMatch {
        name: name?,
        contains: contains?,
    })
}

fn probe(item: Item<'_>, host: &str) -> Option<Located<Probe>> {
    let (key, value) = item.variant(&["http", "dns"])?;
    let probe = if key.name == "http" {
        Probe::Http(http_probe(value)?)
    } else {
        Probe::Dns(dns_probe(value, host)?)
    };
    Some(Located {
        value: probe,
        at: key.place.at,
    })
}

fn http_probe(item: Item<'_>) -> Option<HttpProbe> {
    let mut mapping = item.mapping()?;
    let name = mapping.require("name", Item::name);
    let request = mapping.default("request", "read".to_owned(), Item::text);
    let host = mapping.maybe("host", host_name);
    let standby = mapping.maybe("standby", Item::text);
    let vantage = mapping.maybe("vantage", Item::text);
    let family = mapping.default("family", Family::Ipv4, |family| {
        family.word(&[("ipv4", Family::Ipv4), ("ipv6", Family::Ipv6)])
    });
    let dns_cache = mapping.default("dns-cache", DnsCache::None, |cache| {
        let habits = [
            DnsCache::None,
            DnsCache::Ttl,
            DnsCache::AtLeastMinute,
            DnsCache::AtMostFiveMinutes,
            DnsCache::ForEver,
        ];
        cache.word(&habits.map(|habit| (habit.as_str(), habit)))
    });
    let connection = mapping.default("connection", Connection::New, |connection| {
        connection.word(&[
            ("new", Connection::New),
            ("keep-alive", Connection::KeepAlive),
        ])
    });
    let every = mapping.default("every", EVERY, Item::positive_duration);
    let timeout = mapping.default("timeout", TIMEOUT, Item::positive_duration);
    let good_within_item = mapping.optional("good-within");
    let good_within = good_within_item.map_or(Some(GOOD_WITHIN), Item::positive_duration);
    let whole = mapping.item();
    mapping.finish();
    let (timeout, good_within) = (timeout?, good_within?);
    if good_within > timeout {
        let item = good_within_item.unwrap_or(whole);
        item.context().push(
            item.problem("a good answer may take longer than the time-out allows")
                .with_hint("make `timeout` at least as long as `good-within`"),
        );
        return None;
    }
    Some(HttpProbe {
        name: name?,
        request: request?,
        host: host?,
        standby: standby?,
        vantage: vantage?,
        family: family?,
        dns_cache: dns_cache?,
        connection: connection?,
        every: every?,
        timeout,
        good_within,
    })
}

fn dns_probe(item: Item<'_>, host: &str) -> Option<DnsProbe> {
    let mut mapping = item.mapping()?;
    let name = mapping.require("name", Item::name);
    let query = mapping.default("query", host.to_owned(), host_name);
    let server = mapping.require("server", Item::text);
    let view = mapping.maybe("view", |view| {
        view.word(&[
            ("authority", DnsView::Authority),
            ("recursive", DnsView::Recursive),
            ("cached", DnsView::Cached),
        ])
    });
    let r#type = mapping.default("type", DnsType::A, |kind| {
        kind.word(&[
            ("A", DnsType::A),
            ("AAAA", DnsType::Aaaa),
            ("TXT", DnsType::Txt),
        ])
    });
    let every = mapping.default("every", EVERY, Item::positive_duration);
    let timeout = mapping.default("timeout", TIMEOUT, Item::positive_duration);
    mapping.finish();
    let server = server?;
    let view = view?.unwrap_or(if server == "authority" || server == super::AUTHORITIES {
        DnsView::Authority
    } else {
        DnsView::Recursive
    });
    Some(DnsProbe {
        name: name?,
        query: query?,
        server,
        view,
        r#type: r#type?,
        every: every?,
        timeout: timeout?,
    })
}

/// A DNS name.
pub(super) fn host_name(item: Item<'_>) -> Option<String> {
    let text = item.text()?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|character| character.is_ascii_alphanumeric() || "-_".contains(character))
    };
    let sound = text.len() <= 253 && text.split('.').all(label);
    if !sound && !item.may_stand_for_a_secret() {
        item.report(format!("{} is not a host name", item.shown()));
        return None;
    }
    Some(text)
}

fn ledger(item: Item<'_>) -> Option<Ledger> {
    let mut mapping = item.mapping()?;
    let writes = mapping.require("writes", Item::text);
    let read = mapping.require("read", Item::text);
    mapping.finish();
    Some(Ledger {
        writes: writes?,
        read: read?,
    })
}

fn observer(item: Item<'_>) -> Option<Observer> {
    let mut mapping = item.mapping()?;
    let name = mapping.require("observer", Item::name);
    let watches = mapping.require("watches", Item::text);
    let every = mapping.default("every", OBSERVED_EVERY, Item::positive_duration);
    mapping.finish();
    Some(Observer {
        name: name?,
        watches: watches?,
        every: every?,
    })
}

/// What the targets of one binding have in common.
struct Common<'a> {
    docker: Option<&'a docker::Docker>,
    azure: Option<&'a azure::Azure>,
    kubernetes: Option<&'a kubernetes::Kubernetes>,
    aws: Option<&'a aws::AwsAccount>,
}

fn targets(item: Item<'_>, common: &Common<'_>) -> Option<BTreeMap<String, Target>> {
    let entries: Vec<_> = item
        .named_entries()?
        .into_iter()
        .map(|(key, value)| target(value, common).map(|target| (key.name.clone(), target)))
        .collect();
    entries.into_iter().collect()
}

fn target(item: Item<'_>, common: &Common<'_>) -> Option<Target> {
    let (word, binding) = item.variant(&Binding::ALL.map(Binding::as_str))?;
    Some(match Binding::named(&word.name)? {
        Binding::Lab => {
            let (kind, name) = binding.variant(&ResourceKind::ALL.map(ResourceKind::as_str))?;
            Target::Lab(Resource::new(kind.name.parse().ok()?, name.text()?))
        }
        Binding::Docker => Target::Docker(docker::containers(binding, common.docker)?),
        Binding::Kubernetes => Target::Kubernetes(kubernetes::objects(binding, common.kubernetes)?),
        Binding::Aws => Target::Aws(aws::resource(binding, common.aws)?),
        Binding::Command => Target::Command(programs::programs(binding)?),
        Binding::Azure => Target::Azure(azure::resource(binding, common.azure)?),
    })
}
