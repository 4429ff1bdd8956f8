//! The files in which the AWS tools keep profiles, as far as they show what is missing on this machine. Credentials are fetched by
//! `aws-config`; nothing secret is kept of what is read here.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

/// The profile that is meant where none is named.
const DEFAULT: &str = "default";
/// Variables that have the secret of a key: the second is an older name.
const SECRETS: [&str; 2] = ["AWS_SECRET_ACCESS_KEY", "SECRET_ACCESS_KEY"];
/// Variables by which credentials are found where no profile has any.
const AFTER_PROFILES: [&str; 3] = [
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];
/// Settings by which a profile finds credentials.
const FINDS_CREDENTIALS: [&str; 7] = [
    "aws_access_key_id",
    "credential_process",
    "credential_source",
    "role_arn",
    "sso_account_id",
    "sso_session",
    "web_identity_token_file",
];

/// The profiles of this machine. Of settings that hold a secret only the name is kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Profiles {
    /// The files that were looked through.
    pub(super) files: Vec<String>,
    settings: BTreeMap<String, BTreeMap<String, String>>,
}

impl Profiles {
    /// Reads the files that the AWS tools read.
    pub(super) fn read() -> Self {
        let mut profiles = Self::default();
        let files = [
            ("AWS_CONFIG_FILE", "config"),
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
        ];
        for (variable, name) in files {
            let path = set(variable).map(PathBuf::from).or_else(|| {
                let home = set("HOME")?;
                Some(PathBuf::from(home).join(".aws").join(name))
            });
            let Some(path) = path else { continue };
            profiles.files.push(path.display().to_string());
            if let Ok(text) = fs::read_to_string(path) {
                profiles.take(&text);
            }
        }
        profiles
    }

    fn take(&mut self, text: &str) {
        let mut profile = None;
        for line in text.lines().map(str::trim) {
            if let Some(section) = line
                .strip_prefix('[')
                .and_then(|rest| rest.split(']').next())
            {
                profile = name_of(section);
                if let Some(name) = &profile {
                    self.settings.entry(name.clone()).or_default();
                }
                continue;
            }
            let (Some(profile), Some((key, value))) = (&profile, line.split_once('=')) else {
                continue;
            };
            let key = key.trim();
            let value = match key {
                "region" | "credential_process" => value.trim(),
                _ => "",
            };
            let settings = self.settings.entry(profile.clone()).or_default();
            settings.insert(key.to_owned(), value.to_owned());
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.settings.keys().cloned().collect()
    }

    pub(super) fn has(&self, profile: &str) -> bool {
        self.settings.contains_key(profile)
    }

    fn finds_credentials(&self, profile: &str) -> bool {
        let settings = self.settings.get(profile);
        settings.is_some_and(|settings| {
            FINDS_CREDENTIALS
                .iter()
                .any(|key| settings.contains_key(*key))
        })
    }

    /// The profile by which the same credentials are found again by somebody who names it. None if it is not the profile that they come
    /// from: keys in variables win over `AWS_PROFILE`, and one without credentials only has settings.
    pub(super) fn way_back(
        &self,
        named: Option<&str>,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Option<String> {
        if let Some(named) = named {
            return Some(named.to_owned());
        }
        let profile = variable("AWS_PROFILE")?;
        let is_source = !has_keys(variable) && self.finds_credentials(&profile);
        is_source.then_some(profile)
    }

    /// What is missing to reach an account by a profile, in words. Nobody is asked.
    pub(super) fn missing(
        &self,
        named: Option<&str>,
        region: Option<&str>,
        variable: &impl Fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let mut missing = Vec::new();
        let in_variable = variable("AWS_PROFILE");
        let profile = named.or(in_variable.as_deref()).unwrap_or(DEFAULT);
        let settings = self.settings.get(profile);
        let is_without = || AFTER_PROFILES.iter().any(|name| variable(name).is_some());
        match settings {
            None if profile != DEFAULT => missing.push(format!(
                "there is no profile `{profile}` in {}",
                self.files.join(" or ")
            )),
            // A profile that a file names is the only place where credentials are looked for, as with the AWS tools.
            Some(_) | None if named.is_none() && has_keys(variable) => {}
            Some(settings) if self.finds_credentials(profile) => {
                let program = settings.get("credential_process");
                let program = program.and_then(|line| line.split_whitespace().next());
                if let Some(program) = program
                    && !crate::provider::is_program(program.trim_matches('"'))
                {
                    missing.push(format!(
                        "the program `{program}`, which gets the credentials of the profile `{profile}`, is not in PATH"
                    ));
                }
            }
            Some(_) | None if named.is_some() => missing.push(format!(
                "there are no credentials in the profile `{profile}`, and none are looked for elsewhere where a profile is named"
            )),
            Some(_) | None if is_without() => {}
            Some(_) | None => missing.push(format!(
                "there are no credentials: no AWS_ACCESS_KEY_ID, and none in the profile `{profile}`; on a machine of AWS those of the \
                 machine are taken"
            )),
        }
        let has_region = region.is_some()
            || ["AWS_REGION", "AWS_DEFAULT_REGION"]
                .iter()
                .any(|name| variable(name).is_some())
            || settings.is_some_and(|settings| settings.contains_key("region"));
        if !has_region {
            missing.push(
                "no region is given: `aws: { region: … }`, AWS_REGION, or that of the profile"
                    .to_owned(),
            );
        }
        missing
    }
}

/// Whether variables have a key, which wins over every profile that no file of ours names.
fn has_keys(variable: &impl Fn(&str) -> Option<String>) -> bool {
    variable("AWS_ACCESS_KEY_ID").is_some() && SECRETS.iter().any(|name| variable(name).is_some())
}

/// The profile that a section of either file is about.
fn name_of(section: &str) -> Option<String> {
    let section = section.trim();
    let name = match section.split_once(char::is_whitespace) {
        Some(("profile", name)) => name.trim(),
        // An `sso-session` or `services`.
        Some(_) => return None,
        None => section,
    };
    Some(name.trim_matches(['"', '\'']).to_owned())
}

/// A variable that is set to something.
pub(super) fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_known_without_their_secrets() {
        let mut profiles = Profiles::default();
        profiles.take(
            "[default]\nregion = eu-central-1\n# a comment\n[profile \"two words\"]\nsso_session = work\n\
             [sso-session work]\nsso_region = eu-west-1\n[profile run]\ncredential_process = /no/such/program --x\n",
        );
        profiles.take("[keys]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hidden\n");
        assert_eq!(profiles.names(), ["default", "keys", "run", "two words"]);
        let shown = format!("{profiles:?}");
        assert!(
            !shown.contains("hidden") && !shown.contains("AKIA"),
            "{shown}"
        );
        let missing = |named| profiles.missing(Some(named), Some("eu-central-1"), &|_| None);
        assert!(missing("keys").is_empty());
        assert!(missing("two words").is_empty());
        let words = missing("run");
        assert!(words[0].contains("`/no/such/program`"), "{words:?}");
        let words = missing("nobody");
        assert!(words[0].contains("no profile `nobody`"), "{words:?}");
    }

    /// Variables with keys, a region, and this profile.
    fn with_keys(profile: &'static str) -> impl Fn(&str) -> Option<String> {
        move |name| match name {
            "AWS_PROFILE" => Some(profile.to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_REGION" => Some("set".to_owned()),
            _ => None,
        }
    }

    #[test]
    fn keys_in_variables_win_over_a_profile_in_a_variable_and_never_over_one_in_a_file() {
        let mut profiles = Profiles::default();
        profiles.take("[keys]\naws_access_key_id = AKIAEXAMPLE\n[empty]\nregion = eu-central-1\n");
        profiles.take("[run]\ncredential_process = /no/such/program --x\n");
        let keys = with_keys("keys");
        assert_eq!(profiles.way_back(None, &keys), None);
        assert_eq!(profiles.way_back(Some("keys"), &keys).unwrap(), "keys");
        let without = |name: &str| (name == "AWS_PROFILE").then(|| "keys".to_owned());
        assert_eq!(profiles.way_back(None, &without).unwrap(), "keys");
        // The credentials are somebody else's, such as the machine's: they would not be found by the profile alone.
        let empty = |name: &str| (name == "AWS_PROFILE").then(|| "empty".to_owned());
        assert_eq!(profiles.way_back(None, &empty), None);
        // The plan agrees.
        assert!(profiles.missing(None, None, &with_keys("run")).is_empty());
        let words = profiles.missing(Some("run"), None, &keys);
        assert!(words[0].contains("`/no/such/program`"), "{words:?}");
        let words = profiles.missing(Some("empty"), None, &keys);
        assert!(
            words[0].contains("no credentials in the profile `empty`"),
            "{words:?}"
        );
    }
}
