//! What moto does not imitate, against answers of the shapes that AWS documents: whose credentials they are, checkers that disagree,
//! versions that do not match, zonal shifts.

use blackstart::{
    drill::Fault,
    environment::{self, Environment},
    provider::{self, Current, Provider, attach},
    source::{Coloring, process_variable},
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::{
    rig::{ACCOUNT, capture, environment_at},
    stand_in::{it, stand_in, xml},
};

/// An environment with what stands under `aws:`, and one target.
pub(crate) fn environment(aws: &str) -> Environment {
    environment_of(aws, "instance: i-1")
}

fn environment_of(aws: &str, target: &str) -> Environment {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("environment.yaml");
    let text = format!(
        "environment: cloud\nservice: {{ url: http://127.0.0.1:1/ }}\ntiers: [ {{ tier: cloud, recognise: {{ body: ok }} }} ]\n\
         probes: [ {{ http: {{ name: read }} }} ]\naws: {{ {aws} }}\ntargets: {{ it: {{ aws: {{ {target} }} }} }}\n"
    );
    std::fs::write(&path, text).unwrap();
    let (environment, problems) = environment::load(&path, &process_variable);
    environment.unwrap_or_else(|| panic!("{}", problems.render(Coloring::Plain)))
}

async fn refused(environment: &Environment) -> String {
    let attached = attach(environment, None).await;
    attached.expect_err("is attached").to_string()
}

pub(crate) async fn credentials_that_are_not_accepted_are_told() {
    let server = MockServer::start().await;
    let body = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                <Code>InvalidClientTokenId</Code><Message>The security token included in the request is invalid.</Message></Error>\
                <RequestId>r</RequestId></ErrorResponse>";
    Mock::given(any())
        .respond_with(xml(403, body))
        .mount(&server)
        .await;
    let words = refused(&environment(&format!("endpoint: {:?}", server.uri()))).await;
    assert!(
        words.contains("asking whose the credentials are: the credentials of the default credentials in eu-central-1")
            && words.contains("InvalidClientTokenId")
            && words.contains("aws sts get-caller-identity")
            && !words.contains("hidden-secret"),
        "{words}"
    );
}

pub(crate) async fn what_leads_to_no_credentials_is_told_before_anything_is_asked() {
    let words = refused(&environment("profile: nobody")).await;
    assert!(
        words.contains("there are no credentials for the profile nobody in eu-central-1"),
        "{words}"
    );
    let words = refused(&environment("profile: nowhere")).await;
    assert!(
        words.contains("no region is given for the profile nowhere"),
        "{words}"
    );
    let words = refused(&environment("profile: missing")).await;
    assert!(
        words.contains("there is no profile `missing`") && words.contains("`keys`"),
        "{words}"
    );
    // The plan says so as well, and asks nobody.
    let needs = provider::needs(&environment("profile: nobody, region: eu-central-1"));
    assert!(needs[0].missing[0].contains("no credentials"), "{needs:?}");
    let needs = provider::needs(&environment("profile: nowhere"));
    assert!(needs[0].missing[0].contains("no region"), "{needs:?}");
    assert!(
        provider::needs(&environment("profile: keys"))[0]
            .missing
            .is_empty()
    );
}

pub(crate) async fn credentials_of_another_account_are_refused() {
    let (server, _) = stand_in((), |(), _, _| xml(500, "")).await;
    let aws = format!("endpoint: {:?}, account: \"210987654321\"", server.uri());
    let words = refused(&environment(&aws)).await;
    assert!(
        words.contains("210987654321")
            && words.contains(&format!("has credentials of the account {ACCOUNT}"))
            && words.contains("nothing was touched"),
        "{words}"
    );
}

pub(crate) async fn a_page_of_somebody_else_is_not_taken_for_aws() {
    let server = MockServer::start().await;
    let page = "<html><head><title>Log in to the Wi-Fi</title></head></html>";
    Mock::given(any())
        .respond_with(ResponseTemplate::new(200).set_body_raw(page, "text/html"))
        .mount(&server)
        .await;
    let words = refused(&environment(&format!("endpoint: {:?}", server.uri()))).await;
    assert!(
        words.contains("a web page (`Log in to the Wi-Fi`)"),
        "{words}"
    );
}

/// What Route 53 answers for a check, and for what its checkers see.
fn check_answers(
    request: &Request,
    config: &str,
    passed: usize,
    failed: usize,
) -> ResponseTemplate {
    if !request.url.path().ends_with("/status") {
        return xml(
            200,
            format!(
                "<GetHealthCheckResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><HealthCheck><Id>abc</Id>\
                 <HealthCheckConfig><Type>HTTPS</Type>{config}</HealthCheckConfig><HealthCheckVersion>1</HealthCheckVersion>\
                 </HealthCheck></GetHealthCheckResponse>"
            ),
        );
    }
    let observation = |status: &str| {
        format!(
            "<HealthCheckObservation><Region>us-east-1</Region><IPAddress>15.177.0.1</IPAddress><StatusReport><Status>{status}</Status>\
             <CheckedTime>2026-11-21T20:00:00.000Z</CheckedTime></StatusReport></HealthCheckObservation>"
        )
    };
    let observations = observation("Success: HTTP Status Code 200, OK").repeat(passed)
        + &observation("Failure: HTTP Status Code 503, Service Unavailable").repeat(failed);
    xml(
        200,
        format!(
            "<GetHealthCheckStatusResponse><HealthCheckObservations>{observations}</HealthCheckObservations></GetHealthCheckStatusResponse>"
        ),
    )
}

pub(crate) async fn the_checkers_of_a_health_check_are_counted_as_route_53_does() {
    let plain = "<Inverted>false</Inverted><Disabled>false</Disabled>";
    let inverted = "<Inverted>true</Inverted><Disabled>false</Disabled>";
    let off = "<Inverted>true</Inverted><Disabled>true</Disabled>";
    for (config, passed, failed, healthy, detail) in [
        (plain, 3, 13, true, "3 of 16 checkers pass: Failure"),
        (plain, 2, 14, false, "2 of 16 checkers pass: Failure"),
        (inverted, 16, 0, false, "16 of 16 checkers pass, inverted"),
        (inverted, 0, 16, true, "0 of 16 checkers pass, inverted"),
        (
            off,
            0,
            16,
            false,
            "disabled, which counts as healthy, inverted",
        ),
    ] {
        let (server, _) = stand_in((), move |(), request, _| {
            check_answers(request, config, passed, failed)
        })
        .await;
        let environment = environment_at(&server.uri(), "health-check: abc");
        let bindings = attach(&environment, None).await.unwrap().bindings;
        let health = bindings.health(&environment, "it").await.unwrap();
        assert_eq!(health.healthy, healthy, "{}", health.detail);
        assert!(health.detail.starts_with(detail), "{}", health.detail);
    }
}

/// A health check whose version somebody else raises before the first write of ours.
struct Raised {
    version: u32,
    inverted: bool,
    /// What somebody else does at the same moment.
    somebody: Option<fn(&mut Raised)>,
    path: &'static str,
}

fn raised(somebody: fn(&mut Raised)) -> Raised {
    Raised {
        version: 7,
        inverted: false,
        somebody: Some(somebody),
        path: "/health",
    }
}

fn versioned(check: &mut Raised, request: &Request, body: &str) -> ResponseTemplate {
    if request.method == wiremock::http::Method::POST {
        if let Some(somebody) = check.somebody.take() {
            somebody(check);
        }
        let version = format!("<HealthCheckVersion>{}</HealthCheckVersion>", check.version);
        if !body.contains(&version) {
            return xml(
                409,
                "<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Sender</Type>\
                 <Code>HealthCheckVersionMismatch</Code><Message>The version does not match</Message></Error></ErrorResponse>",
            );
        }
        check.version += 1;
        check.inverted = body.contains("<Inverted>true</Inverted>");
    }
    xml(
        200,
        format!(
            "<GetHealthCheckResponse><HealthCheck><Id>abc</Id><HealthCheckConfig><Type>HTTPS</Type><ResourcePath>{}</ResourcePath>\
             <Inverted>{}</Inverted><Disabled>false</Disabled></HealthCheckConfig><HealthCheckVersion>{}</HealthCheckVersion>\
             </HealthCheck></GetHealthCheckResponse>",
            check.path, check.inverted, check.version
        ),
    )
}

pub(crate) async fn a_write_made_of_another_version_is_made_anew_or_given_up() {
    let invert = Fault::InvertHealthCheck { target: it() };
    // What somebody changed is none of ours: it is written again, of the new version.
    let (server, state) = stand_in(raised(|check| check.version += 1), versioned).await;
    let environment = environment_at(&server.uri(), "health-check: abc");
    let captured = capture(&environment, &invert).await.unwrap();
    captured.fault.inject().await.unwrap();
    assert_eq!(captured.current().await, Current::AsInjected);
    assert_eq!(state.lock().unwrap().version, 9);
    // What somebody changed is ours: it is left.
    let somebody = |check: &mut Raised| {
        check.version += 1;
        check.path = "/other";
    };
    let (server, state) = stand_in(raised(somebody), versioned).await;
    let environment = environment_at(&server.uri(), "health-check: abc");
    let captured = capture(&environment, &invert).await.unwrap();
    let error = captured.fault.inject().await.unwrap_err().to_string();
    assert!(
        error.contains("health-check/abc was changed") && error.contains("path /other"),
        "{error}"
    );
    assert!(!state.lock().unwrap().inverted);
}

pub(crate) async fn records_are_not_changed_where_nobody_confirms() {
    let (server, _) = stand_in((), |(), _, _| xml(500, "")).await;
    let aws = format!("endpoint: {:?}", server.uri());
    let target = "record: { zone: Z1, name: www.example.com, type: A }";
    let environment = environment_of(&aws, target);
    let fault = Fault::ShiftWeights {
        target: it(),
        weights: [("blue".to_owned(), 0)].into(),
    };
    let refused = capture(&environment, &fault).await.err().unwrap();
    assert!(
        refused
            .to_string()
            .contains("add `protected: true` to the environment"),
        "{refused}"
    );
}

/// Zonal shifts as ARC keeps them.
fn shifting(shifts: &mut Vec<Value>, request: &Request, body: &str) -> ResponseTemplate {
    if body.contains("Action=DescribeAvailabilityZones") {
        return xml(
            200,
            "<R><availabilityZoneInfo><item><zoneName>eu-central-1a</zoneName><zoneId>euc1-az2</zoneId></item><item>\
             <zoneName>eu-central-1b</zoneName><zoneId>euc1-az3</zoneId></item></availabilityZoneInfo></R>",
        );
    }
    let answer = ResponseTemplate::new(200);
    match request.method.as_str() {
        "POST" => {
            let wanted: Value = serde_json::from_str(body).unwrap();
            assert_eq!(wanted["expiresIn"], "12h");
            let shift = json!({
                "zonalShiftId": format!("shift-{}", shifts.len()),
                "awayFrom": wanted["awayFrom"],
                "resourceIdentifier": wanted["resourceIdentifier"],
                "comment": wanted["comment"],
                "status": "ACTIVE",
            });
            shifts.push(shift.clone());
            answer.set_body_json(shift)
        }
        "DELETE" => {
            let id = request.url.path().rsplit('/').next().unwrap();
            shifts.retain(|shift| shift["zonalShiftId"] != id);
            answer.set_body_json(json!({ "status": "CANCELED" }))
        }
        _ if request
            .url
            .query()
            .unwrap()
            .contains("loadbalancer%2Fapp%2Fnowhere") =>
        {
            ResponseTemplate::new(404)
                .insert_header("x-amzn-errortype", "ResourceNotFoundException:")
                .set_body_json(json!({ "message": "The resource is not registered." }))
        }
        _ => answer.set_body_json(json!({ "items": shifts })),
    }
}

fn balancer(name: &str) -> String {
    format!(
        "load-balancer: \"arn:aws:elasticloadbalancing:eu-central-1:{ACCOUNT}:loadbalancer/app/{name}/0123456789abcdef\""
    )
}

fn lose(zone: &str) -> Fault {
    Fault::LoseZone {
        target: it(),
        zone: zone.to_owned(),
    }
}

pub(crate) async fn the_traffic_of_a_zone_is_shifted_away_and_comes_back() {
    for zone in ["eu-central-1b", "euc1-az3", "b"] {
        let (server, shifts) = stand_in(Vec::new(), shifting).await;
        let environment = environment_at(&server.uri(), &balancer("web"));
        let captured = capture(&environment, &lose(zone)).await.unwrap();
        captured
            .there_and_back(async |broken| {
                let shifts = shifts.lock().unwrap();
                let zones: Vec<_> = shifts.iter().map(|shift| &shift["awayFrom"]).collect();
                assert_eq!(zones, if broken { vec!["euc1-az3"] } else { vec![] });
            })
            .await;
    }
}

pub(crate) async fn a_shift_that_an_operator_took_over_is_told_and_left() {
    let (server, shifts) = stand_in(Vec::new(), shifting).await;
    let environment = environment_at(&server.uri(), &balancer("web"));
    let captured = capture(&environment, &lose("b")).await.unwrap();
    captured.fault.inject().await.unwrap();
    assert_eq!(captured.current().await, Current::AsInjected);
    // What UpdateZonalShift leaves of a shift that is used in a real incident.
    shifts.lock().unwrap()[0]["comment"] = json!("INC-17: the zone really fails");
    let Current::Otherwise(words) = captured.current().await else {
        panic!("is taken for the drill's")
    };
    assert!(
        words.contains("somebody else's, with the comment `INC-17: the zone really fails`"),
        "{words}"
    );
    // Only one who insists cancels it.
    captured.fault.revert(&captured.undo).await.unwrap();
    assert!(shifts.lock().unwrap().is_empty());
}

pub(crate) async fn what_cannot_be_shifted_is_named() {
    let other = json!({ "zonalShiftId": "theirs", "awayFrom": "euc1-az2", "status": "ACTIVE" });
    let (server, shifts) = stand_in(Vec::new(), shifting).await;
    let error = async |name: &str, zone: &str| {
        let environment = environment_at(&server.uri(), &balancer(name));
        let captured = capture(&environment, &lose(zone)).await;
        captured.err().unwrap().to_string()
    };
    let words = error("web", "z").await;
    assert!(
        words.contains("has no zone `z`: there are eu-central-1a, eu-central-1b"),
        "{words}"
    );
    let words = error("nowhere", "b").await;
    assert!(
        words.contains("is not registered for zonal shifts"),
        "{words}"
    );
    shifts.lock().unwrap().push(other);
    let words = error("web", "b").await;
    assert!(
        words.contains("is shifted away from euc1-az2 already"),
        "{words}"
    );
}
