//! The inbound rules of a security group: revoked by their ids, and authorised again with the same content.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

use super::{
    AwsError,
    answer::Element,
    client::{Kind, parameters},
    connection::Connection,
    service::EC2,
};

/// Codes for a group that is not there.
const NOT_FOUND: [&str; 2] = ["InvalidGroup.NotFound", "InvalidGroupId.Malformed"];
/// The tags that only AWS itself sets.
const RESERVED: &str = "aws:";
/// The tag of a group that the load balancer controller of Kubernetes made.
const OF_CONTROLLER: &str = "elbv2.k8s.aws/cluster";
/// What EC2 answers to a dry run that would do.
const WOULD_DO: &str = "DryRunOperation";

/// What a security group lets in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Ingress {
    /// The group's id.
    pub(super) group: String,
    /// The rules by their content: each gets another id when it is made anew.
    pub(super) rules: BTreeSet<Rule>,
}

/// An inbound rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Rule {
    protocol: String,
    from_port: Option<i32>,
    to_port: Option<i32>,
    source: Source,
    description: Option<String>,
    tags: BTreeMap<String, String>,
}

/// Whom a rule lets in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Source {
    Ipv4(String),
    Ipv6(String),
    PrefixList(String),
    Group {
        id: String,
        /// The account that has it.
        owner: Option<String>,
        /// The peering connection that leads there.
        peering: Option<String>,
    },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.protocol.as_str() {
            "-1" => f.write_str("everything")?,
            protocol => f.write_str(protocol)?,
        }
        match (self.from_port, self.to_port) {
            (Some(-1) | None, _) => {}
            (Some(from), Some(to)) if from != to => write!(f, " {from}-{to}")?,
            (Some(from), _) => write!(f, " {from}")?,
        }
        match &self.source {
            Source::Ipv4(range) | Source::Ipv6(range) => write!(f, " from {range}"),
            Source::PrefixList(list) => write!(f, " from {list}"),
            Source::Group { id, .. } => write!(f, " from {id}"),
        }
    }
}

impl Ingress {
    /// Reads the rules of a group.
    pub(super) async fn take(
        connection: &Connection,
        group: &str,
    ) -> Result<(Self, Self), AwsError> {
        let found = describe(connection, group).await?;
        if found.is_none() {
            let resource = format!("security-group/{group}");
            return Err(connection.not_found(resource, "ec2 describe-security-groups"));
        }
        let ingress = |rules| Self {
            group: group.to_owned(),
            rules,
        };
        let elements = elements(connection, group).await?;
        if let Some(problem) = elements.iter().find_map(cannot_come_back) {
            return Err(AwsError::NotPossible {
                resource: format!("security-group/{group}"),
                problem,
            });
        }
        let rules = rules_of(group, &elements)?;
        let mut tags = rules.values().flat_map(|rule| rule.tags.keys());
        if let Some(tag) = tags.find(|tag| tag.starts_with(RESERVED)) {
            return Err(AwsError::NotPossible {
                resource: format!("security-group/{group}"),
                problem: format!(
                    "has a rule with the tag `{tag}`, which only AWS can set, so it could not be put back as it was"
                ),
            });
        }
        let before = ingress(rules.into_values().collect());
        Ok((before, ingress(BTreeSet::new())))
    }

    /// The rules as they are now; nothing if the group is gone.
    pub(super) async fn read(&self, connection: &Connection) -> Result<Option<Self>, AwsError> {
        // A list of the rules of a group that is not there is empty.
        if describe(connection, &self.group).await?.is_none() {
            return Ok(None);
        }
        let rules = rules(connection, &self.group).await?;
        Ok(Some(Self {
            group: self.group.clone(),
            rules: rules.into_values().collect(),
        }))
    }

    /// Whether this is some of what was there before, and nothing else: an injection or a revert that got half-way.
    pub(super) fn is_half_way(&self, before: &Self) -> bool {
        self.rules.is_subset(&before.rules)
    }

    /// Brings the group to these rules. Rules that are not as `expected` are left alone, and are an error.
    pub(super) async fn apply(
        &self,
        connection: &Connection,
        expected: Option<&Self>,
    ) -> Result<(), AwsError> {
        let now = rules(connection, &self.group).await?;
        let content: BTreeSet<Rule> = now.values().cloned().collect();
        if content == self.rules {
            return Ok(());
        }
        if let Some(expected) = expected.filter(|expected| expected.rules != content) {
            let now = Self {
                group: self.group.clone(),
                rules: content,
            };
            return Err(AwsError::Changed {
                resource: format!("security-group/{}", self.group),
                was: expected.words(),
                now: now.words(),
            });
        }
        let ids = now.iter().filter(|(_, rule)| !self.rules.contains(*rule));
        let ids: Vec<&str> = ids.map(|(id, _)| id.as_str()).collect();
        if !ids.is_empty() {
            self.revoke(connection, &ids, false).await?;
        }
        let missing: Vec<&Rule> = self.rules.difference(&content).collect();
        let mut first_error = None;
        for (tags, rules) in by_tags(&missing) {
            let made = self.authorize_what_can_be(connection, tags, &rules).await;
            first_error = first_error.or(made.err());
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Makes rules that have these tags in common, together or, as a request makes all or none, one by one if one of them cannot be made:
    /// that is no reason to leave the others out. Yields what was wrong first.
    async fn authorize_what_can_be(
        &self,
        connection: &Connection,
        tags: &BTreeMap<String, String>,
        rules: &[&Rule],
    ) -> Result<(), AwsError> {
        match self.authorize(connection, tags, rules, false).await {
            Err(AwsError::Refused { .. }) if rules.len() > 1 => {}
            answer => return answer,
        }
        let mut first_error = None;
        for rule in rules {
            let made = self.authorize(connection, tags, &[rule], false).await;
            first_error = first_error.or(made.err());
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Asks EC2 whether this user may take the rules away and put them back. Yields what would work against it, in words.
    pub(super) async fn rehearse(&self, connection: &Connection) -> Result<Vec<String>, AwsError> {
        let now = rules(connection, &self.group).await?;
        let ids: Vec<&str> = now.keys().map(String::as_str).collect();
        would_do(self.revoke(connection, &ids, true).await)?;
        let all: Vec<&Rule> = self.rules.iter().collect();
        for (tags, rules) in by_tags(&all) {
            would_do(self.authorize(connection, tags, &rules, true).await)?;
        }
        let group = describe(connection, &self.group).await?.unwrap_or_default();
        let mut notes = Vec::new();
        let is_tag = |tag: &&Element| tag.text("key") == Some(OF_CONTROLLER);
        if group.list("tagSet").any(|tag| is_tag(&tag)) {
            notes.push(format!(
                "security-group/{} is made by the load balancer controller of Kubernetes, which sets its rules back when it \
                 reconciles",
                self.group
            ));
        }
        let is_open = |rule: &&Rule| matches!(&rule.source, Source::Ipv4(range) | Source::Ipv6(range) if range == "0.0.0.0/0" || range == "::/0");
        if let Some(rule) = self.rules.iter().find(is_open) {
            notes.push(format!(
                "connections that `{rule}` let in may not be tracked: those are cut at once, others live on"
            ));
        }
        Ok(notes)
    }

    async fn revoke(
        &self,
        connection: &Connection,
        ids: &[&str],
        dry_run: bool,
    ) -> Result<(), AwsError> {
        let mut parameters = self.parameters(dry_run);
        let ids = ids.iter().enumerate();
        parameters.extend(ids.map(|(index, id)| {
            let name = format!("SecurityGroupRuleId.{}", index + 1);
            (name, (*id).to_owned())
        }));
        let what = format!(
            "revoking the inbound rules of security-group/{}",
            self.group
        );
        let action = (Kind::Write, "RevokeSecurityGroupIngress");
        let answer = connection.client.query(&EC2, action, &what, &parameters);
        answer.await.map(drop)
    }

    /// Makes rules that have these tags in common, all or none.
    async fn authorize(
        &self,
        connection: &Connection,
        tags: &BTreeMap<String, String>,
        rules: &[&Rule],
        dry_run: bool,
    ) -> Result<(), AwsError> {
        let mut parameters = self.parameters(dry_run);
        for (index, rule) in rules.iter().enumerate() {
            rule.permission(&format!("IpPermissions.{}", index + 1), &mut parameters);
        }
        if !tags.is_empty() {
            let prefix = "TagSpecification.1";
            let resource = "security-group-rule".to_owned();
            parameters.push((format!("{prefix}.ResourceType"), resource));
            for (index, (key, value)) in tags.iter().enumerate() {
                let prefix = format!("{prefix}.Tag.{}", index + 1);
                parameters.push((format!("{prefix}.Key"), key.clone()));
                parameters.push((format!("{prefix}.Value"), value.clone()));
            }
        }
        let which = match rules {
            [rule] => format!("the inbound rule `{rule}`"),
            _ => "the inbound rules".to_owned(),
        };
        let what = format!("authorising {which} of security-group/{}", self.group);
        let action = (Kind::Write, "AuthorizeSecurityGroupIngress");
        let answer = connection.client.query(&EC2, action, &what, &parameters);
        answer.await.map(drop)
    }

    fn parameters(&self, dry_run: bool) -> Vec<(String, String)> {
        let mut parameters = parameters([("GroupId", &self.group)]);
        if dry_run {
            parameters.push(("DryRun".to_owned(), "true".to_owned()));
        }
        parameters
    }

    pub(super) fn title(&self) -> String {
        format!("security-group/{}", self.group)
    }

    /// What the group has, as a fragment that fits after its name.
    pub(super) fn words(&self) -> String {
        if self.rules.is_empty() {
            return "no inbound rule".to_owned();
        }
        let rules: Vec<String> = self.rules.iter().map(|rule| format!("`{rule}`")).collect();
        format!("the inbound rules {}", rules.join(", "))
    }

    /// What restoring this does, in words that a person could follow.
    pub(super) fn orders(&self) -> String {
        let (group, words) = (&self.group, self.words());
        format!("give security-group/{group} {words}, with their descriptions and tags")
    }
}

impl Rule {
    fn of(element: &Element) -> Option<Self> {
        let text = |name: &str| {
            let text = element.text(name).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let group = element.child("referencedGroupInfo");
        let of_group = |name: &str| {
            let text = group?.text(name).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let source = text("cidrIpv4")
            .map(Source::Ipv4)
            .or_else(|| text("cidrIpv6").map(Source::Ipv6))
            .or_else(|| text("prefixListId").map(Source::PrefixList))
            .or_else(|| {
                Some(Source::Group {
                    id: of_group("groupId")?,
                    owner: of_group("userId"),
                    peering: of_group("vpcPeeringConnectionId"),
                })
            })?;
        let tags = element.list("tagSet").filter_map(|tag| {
            let value = tag.text("value").unwrap_or_default();
            Some((tag.text("key")?.to_owned(), value.to_owned()))
        });
        Some(Self {
            protocol: text("ipProtocol")?,
            from_port: element.parsed("fromPort"),
            to_port: element.parsed("toPort"),
            source,
            description: text("description"),
            tags: tags.collect(),
        })
    }

    /// The parameters that make it.
    fn permission(&self, prefix: &str, parameters: &mut Vec<(String, String)>) {
        let mut add = |name: &str, value: &str| {
            parameters.push((format!("{prefix}.{name}"), value.to_owned()));
        };
        add("IpProtocol", &self.protocol);
        for (name, port) in [("FromPort", self.from_port), ("ToPort", self.to_port)] {
            if let Some(port) = port {
                add(name, &port.to_string());
            }
        }
        let list = match &self.source {
            Source::Ipv4(range) => {
                add("IpRanges.1.CidrIp", range);
                "IpRanges.1"
            }
            Source::Ipv6(range) => {
                add("Ipv6Ranges.1.CidrIpv6", range);
                "Ipv6Ranges.1"
            }
            Source::PrefixList(list) => {
                add("PrefixListIds.1.PrefixListId", list);
                "PrefixListIds.1"
            }
            Source::Group { id, owner, peering } => {
                add("Groups.1.GroupId", id);
                if let Some(owner) = owner {
                    add("Groups.1.UserId", owner);
                }
                if let Some(peering) = peering {
                    add("Groups.1.VpcPeeringConnectionId", peering);
                }
                "Groups.1"
            }
        };
        if let Some(description) = &self.description {
            add(&format!("{list}.Description"), description);
        }
    }
}

/// Rules with the same tags together: a request gives all that it makes the same ones.
fn by_tags<'r>(rules: &[&'r Rule]) -> BTreeMap<&'r BTreeMap<String, String>, Vec<&'r Rule>> {
    let mut grouped: BTreeMap<_, Vec<&Rule>> = BTreeMap::new();
    for rule in rules {
        grouped.entry(&rule.tags).or_default().push(rule);
    }
    grouped
}

/// The group itself; nothing if it is not there.
async fn describe(connection: &Connection, group: &str) -> Result<Option<Element>, AwsError> {
    let what = format!("reading security-group/{group}");
    let parameters = parameters([("GroupId.1", group)]);
    let action = (Kind::Read, "DescribeSecurityGroups");
    let answer = connection.client.query(&EC2, action, &what, &parameters);
    match answer.await {
        Ok(answer) => Ok(answer.list("securityGroupInfo").next().cloned()),
        Err(error) if error.is(&NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The inbound rules of a group, as EC2 tells them.
async fn elements(connection: &Connection, group: &str) -> Result<Vec<Element>, AwsError> {
    let what = format!("reading the rules of security-group/{group}");
    let parameters = parameters([
        ("Filter.1.Name", "group-id"),
        ("Filter.1.Value.1", group),
        ("MaxResults", "1000"),
    ]);
    let token = ("nextToken", "NextToken");
    let pages = connection.client.pages(
        &EC2,
        "DescribeSecurityGroupRules",
        &what,
        &parameters,
        token,
    );
    let pages = pages.await?;
    let found = pages
        .iter()
        .flat_map(|page| page.list("securityGroupRuleSet"))
        .filter(|rule| rule.text("isEgress") == Some("false"));
    Ok(found.cloned().collect())
}

/// The inbound rules of a group by their ids.
async fn rules(connection: &Connection, group: &str) -> Result<BTreeMap<String, Rule>, AwsError> {
    rules_of(group, &elements(connection, group).await?)
}

fn rules_of(group: &str, elements: &[Element]) -> Result<BTreeMap<String, Rule>, AwsError> {
    let mut rules = BTreeMap::new();
    for element in elements {
        let id = element.text("securityGroupRuleId").unwrap_or_default();
        let rule = Rule::of(element).ok_or_else(|| AwsError::NotPossible {
            resource: format!("security-group/{group}"),
            problem: format!(
                "has a rule `{id}` of a kind that is not known here, so it could not be put back"
            ),
        })?;
        rules.insert(id.to_owned(), rule);
    }
    Ok(rules)
}

/// Why a rule could not be authorised again, as a fragment that fits after the group's name; nothing if it could. A rule stays when the
/// peering connection ends by which it names another group, and can be revoked then and not made.
fn cannot_come_back(element: &Element) -> Option<String> {
    let id = element.text("securityGroupRuleId").unwrap_or_default();
    let group = element.child("referencedGroupInfo")?;
    let text = |name| group.text(name).filter(|text| !text.is_empty());
    let other = text("groupId").unwrap_or_default();
    let status = text("peeringStatus").filter(|status| *status != "active");
    if let Some(status) = status {
        return Some(format!(
            "has the rule `{id}` for {other} by a peering connection that is {status}: it could be revoked and not be put back; remove the \
             rule, or have the connection back first"
        ));
    }
    let is_without_owner = text("vpcPeeringConnectionId").is_some() && text("userId").is_none();
    is_without_owner.then(|| {
        format!(
            "has the rule `{id}` for {other} by a peering connection to an account that EC2 does not tell: it could be revoked and not be \
             put back; remove the rule first"
        )
    })
}

/// Reads the answer to a dry run.
pub(super) fn would_do(answer: Result<(), AwsError>) -> Result<(), AwsError> {
    match answer {
        Err(error) if error.is(&[WOULD_DO]) => Ok(()),
        answer => answer,
    }
}
