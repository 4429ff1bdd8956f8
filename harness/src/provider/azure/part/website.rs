//! The static website of a storage account, which is a setting of its Blob service and not of Azure Resource Manager.

use http::Method;
use quick_xml::de::from_str;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{Part, Place, Taken, id_of, not_found};
use crate::{
    environment::{AzureKind, AzureResource},
    hostile::shell_words,
    provider::azure::{
        AzureError,
        arm::{Ask, Body, Connection},
    },
};

const STORAGE: &str = "2023-05-01";

/// A static website, as it is set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::provider::azure) struct Website {
    pub(in crate::provider::azure) is_on: bool,
    /// What is served for a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<String>,
    /// What is served, with 404, for what is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// What is served for every path, in the place of `index`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_index: Option<String>,
}

/// The settings of a Blob service, as far as they are read.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceProperties {
    static_website: Option<StaticWebsite>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StaticWebsite {
    enabled: bool,
    index_document: Option<String>,
    #[serde(rename = "ErrorDocument404Path")]
    error_document: Option<String>,
    default_index_document_path: Option<String>,
}

impl From<StaticWebsite> for Website {
    fn from(set: StaticWebsite) -> Self {
        if !set.enabled {
            return Self::default();
        }
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        Self {
            is_on: true,
            index: given(set.index_document),
            error: given(set.error_document),
            default_index: given(set.default_index_document_path),
        }
    }
}

/// The id of a storage account.
pub(in crate::provider::azure) fn id(resource: &AzureResource) -> String {
    let account = match &resource.kind {
        AzureKind::StaticWebsite { account } => account.as_str(),
        AzureKind::VirtualMachine { .. }
        | AzureKind::NetworkSecurityGroup { .. }
        | AzureKind::TrafficManagerEndpoint { .. }
        | AzureKind::FrontDoorEndpoint { .. }
        | AzureKind::FrontDoorRoute { .. }
        | AzureKind::FrontDoorOrigin { .. } => "",
    };
    id_of(
        resource,
        &format!("Microsoft.Storage/storageAccounts/{account}"),
    )
}

/// Where the settings of a storage account's Blob service are; `None` if there is no such account.
async fn settings(
    connection: &Connection,
    resource: &AzureResource,
    id: &str,
) -> Result<Option<Url>, AzureError> {
    let what = format!("the storage account of {resource}");
    let Some(account) = connection.get(id, STORAGE, &what).await? else {
        return Ok(None);
    };
    let answer = |reason: String| AzureError::Answer {
        what: format!("reading {what}"),
        reason,
    };
    let blob = account["properties"]["primaryEndpoints"]["blob"].as_str();
    let blob = blob.ok_or_else(|| answer("it has no Blob service".to_owned()))?;
    let mut address = Url::parse(blob).map_err(|error| answer(error.to_string()))?;
    address.set_query(Some("restype=service&comp=properties"));
    Ok(Some(address))
}

/// Reads a static website; `None` if there is no such account.
pub(in crate::provider::azure) async fn website(
    connection: &Connection,
    resource: &AzureResource,
    id: &str,
) -> Result<Option<Website>, AzureError> {
    let Some(address) = settings(connection, resource, id).await? else {
        return Ok(None);
    };
    let what = format!("reading {resource}");
    let answer = connection.ask_storage(Ask {
        method: Method::GET,
        address,
        what: &what,
        body: Body::Nothing,
        if_match: None,
    });
    let text = answer.await?.text;
    let properties: ServiceProperties =
        from_str(text.trim_start_matches('\u{feff}')).map_err(|error| AzureError::Answer {
            what,
            reason: error.to_string(),
        })?;
    Ok(Some(
        properties
            .static_website
            .map(Website::from)
            .unwrap_or_default(),
    ))
}

pub(super) async fn take(
    connection: &Connection,
    resource: &AzureResource,
) -> Result<Taken, AzureError> {
    let id = id(resource);
    let found = website(connection, resource, &id).await?;
    let found = found.ok_or_else(|| not_found(resource))?;
    Ok(Taken {
        id,
        unique: None,
        before: Part::Website(found),
        after: Part::Website(Website::default()),
    })
}

pub(super) async fn read(place: Place<'_>) -> Result<Part, AzureError> {
    let found = website(place.connection, place.resource, place.id).await?;
    Ok(found.map_or(Part::Gone, Part::Website))
}

impl Website {
    /// Sets it. What the request does not name, such as logging, stays as it is.
    pub(super) async fn apply(&self, place: Place<'_>) -> Result<(), AzureError> {
        let address = settings(place.connection, place.resource, place.id).await?;
        let address = address.ok_or_else(|| not_found(place.resource))?;
        let what = format!("setting {} of {}", self.words(), place.resource);
        let asked = place.connection.ask_storage(Ask {
            method: Method::PUT,
            address,
            what: &what,
            body: Body::Xml(self.xml()),
            if_match: None,
        });
        asked.await.map(|_| ())
    }

    fn xml(&self) -> String {
        let mut inside = format!("<Enabled>{}</Enabled>", self.is_on);
        let documents = [
            ("IndexDocument", &self.index),
            ("ErrorDocument404Path", &self.error),
            ("DefaultIndexDocumentPath", &self.default_index),
        ];
        for (tag, value) in documents {
            if let Some(value) = value {
                let value = quick_xml::escape::escape(value.as_str());
                inside.push('<');
                inside.push_str(tag);
                inside.push('>');
                inside.push_str(&value);
                inside.push_str("</");
                inside.push_str(tag);
                inside.push('>');
            }
        }
        format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><StaticWebsite>{inside}</StaticWebsite>\
             </StorageServiceProperties>"
        )
    }

    pub(super) fn words(&self) -> String {
        if !self.is_on {
            return "the static website off".to_owned();
        }
        let mut words = "the static website on".to_owned();
        for (what, value) in [
            (" with the index document ", &self.index),
            (" with the default document ", &self.default_index),
            (" and the error document ", &self.error),
        ] {
            if let Some(value) = value {
                words.push_str(what);
                words.push_str(value);
            }
        }
        words
    }

    pub(super) fn orders(&self, resource: &AzureResource) -> String {
        let AzureKind::StaticWebsite { account } = &resource.kind else {
            return format!("look at {resource}");
        };
        let mut command: Vec<String> = [
            "az",
            "storage",
            "blob",
            "service-properties",
            "update",
            "--auth-mode",
            "login",
            "--account-name",
            account,
            "--static-website",
            if self.is_on { "true" } else { "false" },
        ]
        .map(str::to_owned)
        .to_vec();
        for (flag, value) in [
            ("--index-document", &self.index),
            ("--404-document", &self.error),
        ] {
            if let Some(value) = value {
                command.extend([flag.to_owned(), value.clone()]);
            }
        }
        format!(
            "set {} of {resource} (`{}`)",
            self.words(),
            shell_words(&command)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> Website {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><Logging><Version>1.0</Version></Logging>{inside}\
             </StorageServiceProperties>"
        );
        let properties: ServiceProperties = from_str(&text).unwrap();
        properties
            .static_website
            .map(Website::from)
            .unwrap_or_default()
    }

    #[test]
    fn what_is_written_is_read_again_as_it_was() {
        for website in [
            Website::default(),
            Website {
                is_on: true,
                index: Some("index.html".into()),
                error: Some("errors/404 & more.html".into()),
                default_index: None,
            },
            Website {
                is_on: true,
                default_index: Some("app.html".into()),
                ..Website::default()
            },
        ] {
            let xml = website.xml();
            let properties: ServiceProperties = from_str(&xml).unwrap();
            assert_eq!(Website::from(properties.static_website.unwrap()), website);
        }
    }

    #[test]
    fn a_website_that_was_never_set_or_is_off_is_off_whatever_else_is_said() {
        assert_eq!(read(""), Website::default());
        let off = "<StaticWebsite><Enabled>false</Enabled><IndexDocument>index.html</IndexDocument></StaticWebsite>";
        assert_eq!(read(off), Website::default());
    }
}
