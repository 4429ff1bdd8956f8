//! How an account is reached: credentials and region as the AWS tools find them.

use std::{fmt, sync::Arc};

use aws_config::{
    BehaviorVersion, Region, profile::ProfileFileCredentialsProvider,
    provider_config::ProviderConfig,
};
use aws_credential_types::provider::{SharedCredentialsProvider, error::CredentialsError};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};

use super::{
    AwsError,
    client::{Client, Kind},
    profiles::{self, Profiles},
    service::STS,
};
use crate::environment::AwsAccount;

/// An account and region, and how to talk to them.
#[derive(Clone)]
pub(super) struct Connection {
    /// As the environment names it.
    pub(super) named: AwsAccount,
    /// As it is found again from anywhere, whatever profile and region are the default then.
    pub(super) account: AwsAccount,
    /// The account's number.
    pub(super) number: String,
    pub(super) client: Arc<Client>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("account", &self.account)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Finds credentials and region, and asks whose the credentials are, for which nobody needs a permission.
    pub(super) async fn open(named: &AwsAccount) -> Result<Self, AwsError> {
        let http = Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http.clone());
        let profiles = Profiles::read();
        let profile = named
            .profile
            .clone()
            .or_else(|| profiles::set("AWS_PROFILE"));
        if let Some(profile) = &profile {
            if !profiles.has(profile) {
                return Err(AwsError::UnknownProfile {
                    profile: profile.clone(),
                    known: profiles.names(),
                    files: profiles.files,
                });
            }
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &named.region {
            loader = loader.region(Region::new(region.clone()));
        }
        let config = loader.load().await;
        let region = config.region().map(ToString::to_string);
        let mut account = AwsAccount {
            profile: profiles.way_back(named.profile.as_deref(), &profiles::set),
            region: region.clone(),
            account: named.account.clone(),
            endpoint: named.endpoint.clone().or_else(|| {
                let endpoint = config.endpoint_url()?;
                Some(endpoint.trim_end_matches('/').to_owned())
            }),
        };
        let region = region.ok_or_else(|| AwsError::NoRegion {
            account: Box::new(account.clone()),
        })?;
        let provider = match &named.profile {
            Some(profile) => {
                let config = ProviderConfig::without_region()
                    .with_behavior_version(Some(BehaviorVersion::latest()))
                    .with_region(config.region().cloned())
                    .with_http_client(http);
                Some(of_profile(profile, &config))
            }
            None => config.credentials_provider(),
        };
        let provider = provider.ok_or_else(|| AwsError::NoCredentials {
            account: Box::new(account.clone()),
            source: Box::new(CredentialsError::not_loaded("nobody was asked for any")),
        })?;
        let client = Client::new(&account, &region, provider)?;
        let identity = client
            .query(
                &STS,
                (Kind::Read, "GetCallerIdentity"),
                "asking whose the credentials are",
                &[],
            )
            .await?;
        let number = identity
            .find("Account")
            .map(|number| number.own_text.trim());
        let number = number.unwrap_or_default().to_owned();
        if account
            .account
            .as_ref()
            .is_some_and(|meant| *meant != number)
        {
            return Err(AwsError::WrongAccount {
                named: Box::new(account),
                now: number,
            });
        }
        account.account = Some(number.clone());
        Ok(Self {
            named: named.clone(),
            account,
            number,
            client: Arc::new(client),
        })
    }

    /// That a resource is not there, with what shows those that are.
    pub(super) fn not_found(&self, resource: impl fmt::Display, hint: &str) -> AwsError {
        let flag = |name: &str, value: Option<&str>| {
            value.map_or_else(String::new, |value| format!(" --{name} {value}"))
        };
        AwsError::NotFound {
            resource: resource.to_string(),
            account: Box::new(self.account.clone()),
            hint: format!(
                "aws {hint}{}{}{}",
                flag("profile", self.account.profile.as_deref()),
                flag("region", self.account.region.as_deref()),
                flag("endpoint-url", self.account.endpoint.as_deref())
            ),
        }
    }
}

/// What gets the credentials of one profile and of nobody else. The default chain asks variables first, whatever profile it is given: keys
/// that somebody left in them would lead to another account than the one that was meant.
fn of_profile(profile: &str, config: &ProviderConfig) -> SharedCredentialsProvider {
    let provider = ProfileFileCredentialsProvider::builder()
        .configure(config)
        .profile_name(profile)
        .build();
    SharedCredentialsProvider::new(provider)
}

/// What is missing to reach an account, as far as this machine shows it. Nothing is asked of it.
pub(super) fn missing(named: &AwsAccount) -> Vec<String> {
    Profiles::read().missing(
        named.profile.as_deref(),
        named.region.as_deref(),
        &profiles::set,
    )
}
