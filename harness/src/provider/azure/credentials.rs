//! Who asks: which credentials are taken, what is missing of them, and the tokens that they get.
//!
//! The credentials that are taken are the first of which this machine shows a sign, and never others because those do not work: whoever
//! has half of them set must not break things as somebody else.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use azure_core::{
    credentials::{AccessToken, Secret, TokenCredential},
    http::{ClientOptions, Transport},
    time::{Duration, OffsetDateTime},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use tokio::sync::Mutex;

use super::AzureError;
use crate::{
    environment::{AzureAccount, AzureCredentials},
    provider::is_program,
};

const TENANT: &str = "AZURE_TENANT_ID";
const CLIENT: &str = "AZURE_CLIENT_ID";
const SECRET: &str = "AZURE_CLIENT_SECRET";
const TOKEN_FILE: &str = "AZURE_FEDERATED_TOKEN_FILE";
const IDENTITY_ENDPOINT: &str = "IDENTITY_ENDPOINT";
/// What Azure writes into the firmware of its machines, and where Linux shows it.
const ASSET_TAG_FILE: &str = "/sys/class/dmi/id/chassis_asset_tag";
const ASSET_TAG: &str = "7783-7084-3265-9085-8269-3286-77";
/// How long before it ends a token is got anew.
const RENEWED_BEFORE: Duration = Duration::minutes(5);

/// What a machine shows of credentials.
pub(super) struct Signs<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    is_file: &'a dyn Fn(&Path) -> bool,
    has_cli: bool,
    is_of_azure: bool,
}

impl Signs<'_> {
    /// Of this machine.
    fn here() -> Self {
        let tag = fs::read_to_string(ASSET_TAG_FILE);
        Self {
            variable: &set,
            is_file: &Path::is_file,
            has_cli: is_program("az"),
            is_of_azure: tag.is_ok_and(|tag| tag.trim() == ASSET_TAG),
        }
    }

    fn has(&self, name: &str) -> bool {
        (self.variable)(name).is_some()
    }

    /// The credentials that are taken for an account.
    fn choose(&self, account: &AzureAccount) -> Option<AzureCredentials> {
        let mut all = AzureCredentials::ALL.into_iter();
        account.credentials.or_else(|| {
            all.find(|credentials| match credentials {
                AzureCredentials::Environment => self.has(SECRET),
                AzureCredentials::WorkloadIdentity => self.has(TOKEN_FILE),
                // Before the machine's own: machines of Azure are hired out to people who log in as somebody else.
                AzureCredentials::Cli => self.missing_of_cli().is_empty(),
                AzureCredentials::ManagedIdentity => {
                    self.has(IDENTITY_ENDPOINT) || self.is_of_azure
                }
            })
            .or_else(|| self.has_cli.then_some(AzureCredentials::Cli))
        })
    }

    /// What is missing of credentials.
    fn missing(&self, credentials: AzureCredentials) -> Vec<String> {
        let unset = |names: &[&str]| {
            let unset = names.iter().filter(|name| !self.has(name));
            unset
                .map(|name| format!("the variable `{name}` is not set"))
                .collect::<Vec<_>>()
        };
        match credentials {
            AzureCredentials::Environment => unset(&[TENANT, CLIENT, SECRET]),
            AzureCredentials::WorkloadIdentity => {
                let mut missing = unset(&[TENANT, CLIENT, TOKEN_FILE]);
                let file = (self.variable)(TOKEN_FILE).map(PathBuf::from);
                if let Some(file) = file.filter(|file| !(self.is_file)(file)) {
                    missing.push(format!("the file `{}` is not there", file.display()));
                }
                missing
            }
            AzureCredentials::ManagedIdentity => {
                if self.has(IDENTITY_ENDPOINT) || self.is_of_azure {
                    return Vec::new();
                }
                vec![format!(
                    "this is no machine of Azure, and the variable `{IDENTITY_ENDPOINT}` is not set"
                )]
            }
            AzureCredentials::Cli => self.missing_of_cli(),
        }
    }

    fn missing_of_cli(&self) -> Vec<String> {
        if !self.has_cli {
            return vec!["the program `az`, the Azure CLI, is not in PATH".to_owned()];
        }
        let folder = (self.variable)("AZURE_CONFIG_DIR").map(PathBuf::from);
        let home = || Some(PathBuf::from((self.variable)("HOME")?).join(".azure"));
        let profile = folder
            .or_else(home)
            .map(|folder| folder.join("azureProfile.json"));
        if profile.is_some_and(|profile| !(self.is_file)(&profile)) {
            return vec!["nobody is logged in with the Azure CLI: `az login`".to_owned()];
        }
        Vec::new()
    }
}

/// A variable that is set to something.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// What is missing on this machine to ask in the name of somebody, and the credentials that would be taken.
pub(super) fn missing(account: &AzureAccount) -> (Option<AzureCredentials>, Vec<String>) {
    if let Some(stand_in) = &account.stand_in {
        let variable = &stand_in.token_variable;
        let missing = set(variable)
            .is_none()
            .then(|| format!("the variable `{variable}` is not set"));
        return (None, missing.into_iter().collect());
    }
    let signs = Signs::here();
    match signs.choose(account) {
        Some(credentials) => (Some(credentials), signs.missing(credentials)),
        None => (None, vec![none_here()]),
    }
}

fn none_here() -> String {
    format!("set {TENANT}, {CLIENT} and {SECRET}, or install the Azure CLI and run `az login`")
}

/// Where tokens come from.
enum Source {
    /// Always the same one, for a stand-in.
    Fixed(Secret),
    /// Azure's own.
    Azure(AzureCredentials, Arc<dyn TokenCredential>),
}

/// Tokens, kept for as long as they are good.
pub(super) struct Tokens {
    source: Source,
    kept: Mutex<BTreeMap<&'static str, AccessToken>>,
}

impl Tokens {
    /// Gets ready to get tokens for an account. Nobody is asked yet.
    pub(super) fn open(
        account: &AzureAccount,
        client: &reqwest::Client,
    ) -> Result<Self, AzureError> {
        let source = match &account.stand_in {
            Some(stand_in) => {
                let token = set(&stand_in.token_variable).ok_or_else(|| AzureError::NoToken {
                    variable: stand_in.token_variable.clone(),
                    endpoint: stand_in.endpoint.clone(),
                })?;
                Source::Fixed(Secret::new(token))
            }
            None => azure(account, client)?,
        };
        Ok(Self {
            source,
            kept: Mutex::default(),
        })
    }

    /// A token for a scope.
    pub(super) async fn token(&self, scope: &'static str) -> Result<Secret, AzureError> {
        let (credentials, source) = match &self.source {
            Source::Fixed(token) => return Ok(token.clone()),
            Source::Azure(credentials, source) => (credentials, source),
        };
        let mut kept = self.kept.lock().await;
        if let Some(known) = kept.get(scope)
            && known.expires_on - RENEWED_BEFORE > OffsetDateTime::now_utc()
        {
            return Ok(known.token.clone());
        }
        let token = source.get_token(&[scope], None).await;
        let token = token.map_err(|source| unusable(*credentials, source))?;
        let secret = token.token.clone();
        kept.insert(scope, token);
        Ok(secret)
    }
}

fn unusable(credentials: AzureCredentials, source: azure_core::Error) -> AzureError {
    AzureError::Credentials {
        credentials: credentials.as_str(),
        source: Box::new(source),
    }
}

/// Whom the CLI is asked for: who is logged in for the subscription, and not for the one that the CLI happens to be set to, which may be of
/// another tenant.
fn of_cli(account: &AzureAccount) -> AzureCliCredentialOptions {
    AzureCliCredentialOptions {
        subscription: Some(account.subscription.clone()),
        ..AzureCliCredentialOptions::default()
    }
}

fn azure(account: &AzureAccount, client: &reqwest::Client) -> Result<Source, AzureError> {
    let signs = Signs::here();
    let credentials = signs
        .choose(account)
        .ok_or_else(|| AzureError::NoCredentials {
            missing: vec![none_here()],
        })?;
    let missing = signs.missing(credentials);
    if !missing.is_empty() {
        return Err(AzureError::NoCredentials { missing });
    }
    let options = || ClientOptions {
        transport: Some(Transport::new(Arc::new(client.clone()))),
        ..ClientOptions::default()
    };
    let source: azure_core::Result<Arc<dyn TokenCredential>> = match credentials {
        AzureCredentials::Environment => ClientSecretCredential::new(
            &set(TENANT).unwrap_or_default(),
            set(CLIENT).unwrap_or_default(),
            Secret::new(set(SECRET).unwrap_or_default()),
            Some(ClientSecretCredentialOptions {
                client_options: options(),
            }),
        )
        .map(|source| source as _),
        AzureCredentials::WorkloadIdentity => {
            WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions {
                    client_options: options(),
                },
                ..WorkloadIdentityCredentialOptions::default()
            }))
            .map(|source| source as _)
        }
        AzureCredentials::ManagedIdentity => {
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: set(CLIENT).map(UserAssignedId::ClientId),
                client_options: options(),
            }))
            .map(|source| source as _)
        }
        AzureCredentials::Cli => {
            AzureCliCredential::new(Some(of_cli(account))).map(|source| source as _)
        }
    };
    source
        .map(|source| Source::Azure(credentials, source))
        .map_err(|source| unusable(credentials, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Machine {
        variables: &'static [&'static str],
        files: &'static [&'static str],
        has_cli: bool,
        is_of_azure: bool,
    }

    const BARE: Machine = Machine {
        variables: &[],
        files: &[],
        has_cli: false,
        is_of_azure: false,
    };

    impl Machine {
        /// What is taken here, and what is missing of it. Each variable is set to a path of its own name.
        fn look(&self, named: Option<AzureCredentials>) -> Option<(AzureCredentials, Vec<String>)> {
            let set = |name: &str| self.variables.contains(&name);
            let signs = Signs {
                variable: &|name| set(name).then(|| format!("/{name}")),
                is_file: &|path| self.files.iter().any(|file| path == Path::new(file)),
                has_cli: self.has_cli,
                is_of_azure: self.is_of_azure,
            };
            let account = AzureAccount {
                credentials: named,
                ..AzureAccount::default()
            };
            let chosen = signs.choose(&account)?;
            Some((chosen, signs.missing(chosen)))
        }
    }

    #[test]
    fn the_first_credentials_that_show_are_taken_in_the_documented_order() {
        let everything = Machine {
            variables: &[TENANT, CLIENT, SECRET, TOKEN_FILE, IDENTITY_ENDPOINT],
            files: &["/AZURE_FEDERATED_TOKEN_FILE"],
            has_cli: true,
            is_of_azure: true,
        };
        let taken = |machine: &Machine| machine.look(None);
        assert_eq!(
            taken(&everything),
            Some((AzureCredentials::Environment, vec![]))
        );
        let in_a_pod = Machine {
            variables: &[TENANT, CLIENT, TOKEN_FILE],
            ..everything
        };
        assert_eq!(
            taken(&in_a_pod),
            Some((AzureCredentials::WorkloadIdentity, vec![]))
        );
        let logged_in = Machine {
            variables: &["HOME"],
            files: &["/HOME/.azure/azureProfile.json"],
            has_cli: true,
            is_of_azure: true,
        };
        assert_eq!(taken(&logged_in), Some((AzureCredentials::Cli, vec![])));
        let logged_out = Machine {
            files: &[],
            ..logged_in
        };
        assert_eq!(
            taken(&logged_out),
            Some((AzureCredentials::ManagedIdentity, vec![]))
        );
        let at_a_desk = Machine {
            is_of_azure: false,
            ..logged_out
        };
        assert_eq!(
            taken(&at_a_desk),
            Some((
                AzureCredentials::Cli,
                vec!["nobody is logged in with the Azure CLI: `az login`".to_owned()]
            ))
        );
        assert_eq!(taken(&BARE), None);
    }

    #[test]
    fn half_of_the_credentials_are_no_reason_to_ask_as_somebody_else() {
        let half = Machine {
            variables: &[SECRET, CLIENT, "HOME"],
            files: &["/HOME/.azure/azureProfile.json"],
            has_cli: true,
            ..BARE
        };
        assert_eq!(
            half.look(None),
            Some((
                AzureCredentials::Environment,
                vec!["the variable `AZURE_TENANT_ID` is not set".to_owned()]
            ))
        );
        assert_eq!(
            half.look(Some(AzureCredentials::Cli)),
            Some((AzureCredentials::Cli, vec![]))
        );
    }

    #[test]
    fn the_cli_is_asked_for_who_is_logged_in_for_the_subscription() {
        let account = AzureAccount {
            subscription: "00000000-0000-0000-0000-000000000001".to_owned(),
            ..AzureAccount::default()
        };
        let options = of_cli(&account);
        assert_eq!(options.subscription.as_ref(), Some(&account.subscription));
        // What it would not take would be found out in the middle of a drill.
        AzureCliCredential::new(Some(options)).unwrap();
    }

    #[test]
    fn what_is_missing_of_named_credentials_is_told() {
        let missing = |machine: &Machine, named| machine.look(Some(named)).unwrap().1.join("; ");
        assert_eq!(
            missing(&BARE, AzureCredentials::Cli),
            "the program `az`, the Azure CLI, is not in PATH"
        );
        let logged_out = Machine {
            variables: &["HOME"],
            has_cli: true,
            ..BARE
        };
        assert_eq!(
            missing(&logged_out, AzureCredentials::Cli),
            "nobody is logged in with the Azure CLI: `az login`"
        );
        assert!(missing(&BARE, AzureCredentials::ManagedIdentity).contains("no machine of Azure"));
        let without_file = Machine {
            variables: &[TENANT, CLIENT, TOKEN_FILE],
            ..BARE
        };
        assert_eq!(
            missing(&without_file, AzureCredentials::WorkloadIdentity),
            "the file `/AZURE_FEDERATED_TOKEN_FILE` is not there"
        );
    }
}
