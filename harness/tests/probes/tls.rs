//! How TLS can be agreed, and how not.

use std::sync::Arc;

use blackstart::{
    environment::Recognise,
    probe::{
        Look, Probe, Recognition, Trouble,
        http::{HttpProbe, tls_connector},
    },
    timeline::ErrorClass,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, ServerName},
};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use crate::{
    HOST, SHORT, probe, tier,
    web_server::{Then, WebServer, good, part},
};

/// A certificate authority of its own.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn acceptor(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A probe over TLS that trusts one authority.
fn secured(server: &WebServer, trusted: &Authority) -> HttpProbe {
    let connector = tls_connector(Some(&trusted.pem())).unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    HttpProbe {
        tls: Some((connector, name)),
        ..probe(server.address)
    }
}

fn is_tls_failure(look: &Look) -> bool {
    look.trouble == Some(Trouble::Bad(ErrorClass::Tls))
        && look.connected.is_some()
        && look.secured.is_none()
}

#[tokio::test]
async fn a_private_root_is_trusted_and_the_certificate_tells_the_tier() {
    let authority = Authority::new();
    let server = WebServer::start_tls(&[good()], authority.acceptor(HOST)).await;
    let marks = Recognise {
        certificate: Some(HOST.to_owned()),
        ..Recognise::default()
    };
    let probe = HttpProbe {
        recognition: Recognition::new(vec![tier("certified", marks)]),
        ..secured(&server, &authority)
    };
    let start = Instant::now();
    let look = probe.look(0).await;
    let end = Instant::now();
    assert_eq!(look.trouble, None, "{look:?}");
    assert_eq!(look.tier.as_deref(), Some("certified"));
    let phases = [
        Some(start),
        look.connected,
        look.secured,
        look.first_byte,
        Some(end),
    ];
    assert!(phases.iter().all(Option::is_some), "{look:?}");
    assert!(phases.is_sorted(), "{phases:?}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_a_tls_failure() {
    let server = WebServer::start_tls(&[good()], Authority::new().acceptor(HOST)).await;
    let look = secured(&server, &Authority::new()).look(0).await;
    assert!(is_tls_failure(&look), "{look:?}");
    assert!(look.detail.unwrap().contains("certificate"));
    assert_eq!(server.requests().len(), 0);
}

#[tokio::test]
async fn a_certificate_for_another_name_is_a_tls_failure() {
    let authority = Authority::new();
    let server = WebServer::start_tls(&[good()], authority.acceptor("other.test")).await;
    let look = secured(&server, &authority).look(0).await;
    assert!(is_tls_failure(&look), "{look:?}");
}

#[tokio::test]
async fn a_server_that_never_agrees_is_a_tls_failure_after_the_time_out() {
    let server = WebServer::start(&[part("", Then::Wait)]).await;
    let probe = HttpProbe {
        timeout: SHORT,
        ..secured(&server, &Authority::new())
    };
    let start = Instant::now();
    let look = probe.look(0).await;
    assert!(is_tls_failure(&look), "{look:?}");
    assert!(start.elapsed() >= SHORT);
}

#[test]
fn a_root_that_is_no_certificate_is_said_to_be_none() {
    let error = tls_connector(Some("no PEM")).map(drop).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the private root is no certificate"),
        "{error}"
    );
}
