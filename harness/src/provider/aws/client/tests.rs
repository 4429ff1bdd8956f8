//! What moto does not imitate: throttling, pages of a list, errors that are none of the API's. The answers have the documented shapes.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

use super::{super::service::*, *};

const THROTTLED: &str = "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error><Type>Sender</Type>\
                         <Code>Throttling</Code><Message>Rate exceeded</Message></Error><RequestId>r</RequestId></ErrorResponse>";
const EC2_THROTTLED: &str = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>Request limit exceeded.</Message></Error>\
                             </Errors><RequestID>r</RequestID></Response>";
const OK: &str = "<Answer><Done>yes</Done></Answer>";

/// A server that gives these answers, one after the other, and the last for ever; how often it was asked.
async fn server(answers: Vec<ResponseTemplate>) -> (MockServer, Arc<AtomicUsize>) {
    let server = MockServer::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    Mock::given(any())
        .respond_with(move |_: &wiremock::Request| {
            let number = count.fetch_add(1, Ordering::Relaxed);
            answers[number.min(answers.len() - 1)].clone()
        })
        .mount(&server)
        .await;
    (server, asked)
}

fn client(server: &MockServer) -> Client {
    client_in(server, "eu-central-1")
}

fn client_in(server: &MockServer, region: &str) -> Client {
    let account = AwsAccount {
        endpoint: Some(server.uri()),
        ..AwsAccount::default()
    };
    let keys = Credentials::new("AKIAEXAMPLE", "hidden-secret", None, None, "test");
    Client::new(&account, region, SharedCredentialsProvider::new(keys)).unwrap()
}

fn xml(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "text/xml")
}

async fn ask(client: &Client, kind: Kind) -> Result<Element, AwsError> {
    client.query(&EC2, (kind, "Do"), "doing it", &[]).await
}

#[tokio::test]
async fn what_was_turned_down_for_too_many_requests_is_asked_again_whatever_it_is() {
    for throttled in [xml(400, THROTTLED), xml(503, EC2_THROTTLED)] {
        for kind in [Kind::Read, Kind::Write] {
            let (server, asked) =
                server(vec![throttled.clone(), throttled.clone(), xml(200, OK)]).await;
            let answer = ask(&client(&server), kind).await.unwrap();
            assert_eq!(answer.text("Done"), Some("yes"));
            assert_eq!(asked.load(Ordering::Relaxed), 3);
        }
    }
}

#[tokio::test]
async fn patience_with_too_many_requests_ends() {
    let (server, asked) = server(vec![xml(400, THROTTLED)]).await;
    let mut client = client(&server);
    client.patience = Duration::from_millis(500);
    let error = ask(&client, Kind::Read).await.unwrap_err().to_string();
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 1);
    assert_eq!(
        error,
        format!(
            "doing it: AWS turned it down {asked} times for too many requests (Throttling): somebody else uses up what the account may \
             ask"
        )
    );
}

#[tokio::test]
async fn a_write_that_may_have_been_done_is_not_asked_twice() {
    let trouble = "<Response><Errors><Error><Code>InternalError</Code><Message>Try again</Message></Error></Errors></Response>";
    for (kind, times) in [(Kind::Read, 2), (Kind::Write, 1)] {
        let (server, asked) = server(vec![xml(500, trouble), xml(200, OK)]).await;
        let answer = ask(&client(&server), kind).await;
        assert_eq!(answer.is_ok(), kind == Kind::Read);
        assert_eq!(asked.load(Ordering::Relaxed), times);
    }
}

#[tokio::test]
async fn every_page_of_a_list_is_read() {
    let page = |ids: &str, next: &str| {
        xml(
            200,
            &format!("<A><Set>{ids}</Set><nextToken>{next}</nextToken></A>"),
        )
    };
    let (server, _) = server(vec![
        page("<item>1</item><item>2</item>", "a+b/c="),
        page("<item>3</item>", ""),
    ])
    .await;
    let token = ("nextToken", "NextToken");
    let client = client(&server);
    let pages = client.pages(&EC2, "List", "listing", &[], token);
    let pages = pages.await.unwrap();
    let items: Vec<_> = pages
        .iter()
        .flat_map(|page| page.list("Set"))
        .map(|item| item.own_text.as_str())
        .collect();
    assert_eq!(items, ["1", "2", "3"]);
    let requests = server.received_requests().await.unwrap();
    let body = String::from_utf8_lossy(&requests[1].body).into_owned();
    assert!(body.contains("NextToken=a%2Bb%2Fc%3D"), "{body}");
}

#[tokio::test]
async fn a_web_page_is_told_from_the_api() {
    let page = "<!doctype html><html><head><title>404 Not Found</title></head></html>";
    let page = ResponseTemplate::new(404).set_body_raw(page, "text/html; charset=utf-8");
    let (server, asked) = server(vec![page]).await;
    let error = ask(&client(&server), Kind::Read).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "doing it: {} answered 404 with a web page (`404 Not Found`), which is not the API of AWS: `endpoint` or a proxy leads \
             elsewhere",
            server.uri()
        )
    );
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn what_is_neither_an_answer_nor_an_error_is_told() {
    for (answer, words) in [
        (xml(200, "<A>"), "answered 200 with what cannot be read"),
        (
            xml(418, "teapot"),
            "answered 418 with what cannot be read: it is no error of AWS",
        ),
    ] {
        let (server, _) = server(vec![answer]).await;
        let error = ask(&client(&server), Kind::Read).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn who_may_not_and_whose_credentials_are_wrong_is_told_what_to_do() {
    let answer = |code: &str, message: &str| {
        xml(
            403,
            &format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            ),
        )
    };
    for (code, words) in [
        ("UnauthorizedOperation", "plan --permissions"),
        ("AccessDenied", "plan --permissions"),
        ("InvalidClientTokenId", "aws sts get-caller-identity"),
        ("SignatureDoesNotMatch", "a clock that is wrong"),
        ("ExpiredToken", "are not accepted"),
    ] {
        let (server, asked) = server(vec![answer(code, "You may not")]).await;
        let error = ask(&client(&server), Kind::Read).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(words), "{shown}");
        assert!(!shown.contains("hidden-secret"), "{shown}");
        assert_eq!(asked.load(Ordering::Relaxed), 1, "{code}");
    }
}

#[tokio::test]
async fn requests_are_signed_and_carry_no_secret() {
    let (server, _) = server(vec![xml(200, OK)]).await;
    let client = client(&server);
    ask(&client, Kind::Read).await.unwrap();
    let request = &server.received_requests().await.unwrap()[0];
    let header = request.headers.get("authorization").unwrap();
    let header = header.to_str().unwrap();
    assert!(
        header.starts_with("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
            && header.contains("/eu-central-1/ec2/aws4_request"),
        "{header}"
    );
    let all = format!(
        "{:?}{}",
        request.headers,
        String::from_utf8_lossy(&request.body)
    );
    assert!(!all.contains("hidden-secret"));
    assert!(!format!("{client:?}").contains("hidden-secret"));
}

#[tokio::test]
async fn a_service_whose_limit_is_low_is_asked_slowly_from_all_regions_together() {
    for regions in [
        ["eu-central-1", "eu-central-1"],
        ["eu-central-1", "eu-west-1"],
    ] {
        let (server, _) = server(vec![xml(200, OK)]).await;
        let began = Instant::now();
        for region in regions {
            let request = Request {
                service: &ROUTE_53,
                kind: Kind::Read,
                what: "reading",
                method: Method::GET,
                path: "/2013-04-01/healthcheck/x",
                content_type: None,
                body: String::new(),
            };
            let client = client_in(&server, region);
            client.rest_xml(&request).await.unwrap();
        }
        assert!(began.elapsed() >= ROUTE_53.pace, "{regions:?}");
    }
}

#[tokio::test]
async fn an_address_where_nobody_answers_is_told() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let account = AwsAccount {
        endpoint: Some(format!("http://{address}")),
        ..AwsAccount::default()
    };
    let keys = Credentials::new("AKIAEXAMPLE", "hidden-secret", None, None, "test");
    let provider = SharedCredentialsProvider::new(keys);
    let mut client = Client::new(&account, "eu-central-1", provider).unwrap();
    client.patience = Duration::from_millis(100);
    let error = ask(&client, Kind::Write).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("doing it: http://{address} does not answer")
    );
}
