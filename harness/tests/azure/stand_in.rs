//! A small Azure: machines, a security group, switches, a static website, locks and rights, with the shapes of the documentation.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

pub(crate) const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";
pub(crate) const GROUP: &str = "petclinic";
const COMPUTE: &str = "Microsoft.Compute/virtualMachines";
const SECURITY: &str = "Microsoft.Network/networkSecurityGroups";

/// Where news of an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum News {
    AsyncOperation,
    Location,
}

/// How an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Succeeds,
    Fails,
    Never,
}

#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// What follows `PowerState/`; Azure leaves that out if it is empty.
    pub(crate) power: &'static str,
    /// How the last operation ended, or `Updating` while one is under way.
    provisioning: &'static str,
    pub(crate) vm_id: String,
    pub(crate) is_ephemeral: bool,
    /// What the machine's public address is given by, if it has one.
    pub(crate) address: Option<&'static str>,
}

/// What an operation does when it succeeds.
#[derive(Debug, Clone)]
enum Effect {
    Power(String, &'static str),
    Nothing,
}

#[derive(Debug, Clone)]
struct Operation {
    looks_left: u32,
    end: End,
    effect: Effect,
}

/// An answer in the place of the usual one.
pub(crate) struct Trouble {
    method: &'static str,
    path: String,
    answer: ResponseTemplate,
}

pub(crate) struct State {
    pub(crate) machines: BTreeMap<String, Machine>,
    /// The rules of the only security group, `nsg`.
    pub(crate) rules: Vec<Value>,
    pub(crate) group_is_there: bool,
    etag: u32,
    /// Resources with a switch, by their paths.
    pub(crate) switches: BTreeMap<String, Value>,
    /// The static website of the only account, `sorry`: whether it is on, its index document and its error document.
    pub(crate) website: (bool, Option<String>, Option<String>),
    pub(crate) locks: Vec<Value>,
    pub(crate) granted: Value,
    pub(crate) news: News,
    pub(crate) end: End,
    pub(crate) looks: u32,
    /// Whether a machine's power shows nothing of an operation until that has ended.
    pub(crate) dawdles: bool,
    operations: BTreeMap<u32, Operation>,
    trouble: VecDeque<Trouble>,
    /// What was asked: the method and the path, with what stands in `If-Match`.
    pub(crate) asked: Vec<String>,
    token: String,
}

/// A running stand-in.
pub(crate) struct StandIn {
    pub(crate) server: MockServer,
    state: Arc<Mutex<State>>,
}

struct Answers {
    state: Arc<Mutex<State>>,
}

impl StandIn {
    /// Starts one that takes a token.
    pub(crate) async fn start(token: &str) -> Self {
        let state = Arc::new(Mutex::new(State::new(token)));
        let server = MockServer::start().await;
        let answers = Answers {
            state: Arc::clone(&state),
        };
        Mock::given(any())
            .respond_with(answers)
            .mount(&server)
            .await;
        Self { server, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// What the power of a machine is, as somebody else reads it.
    pub(crate) fn power(&self, name: &str) -> &'static str {
        self.state().machines[name].power
    }

    /// Answers so once, when a path that contains this is asked with this method.
    pub(crate) fn once(&self, method: &'static str, path: &str, answer: ResponseTemplate) {
        let path = path.to_owned();
        self.state().trouble.push_back(Trouble {
            method,
            path,
            answer,
        });
    }

    /// Whatever is under way takes a few looks more, and no longer.
    pub(crate) fn arrives(&self) {
        let mut state = self.state();
        state.looks = 2;
        for operation in state.operations.values_mut() {
            operation.looks_left = operation.looks_left.min(3);
        }
    }

    /// How often something was asked.
    pub(crate) fn count(&self, asked: &str) -> usize {
        let state = self.state();
        let asked = state.asked.iter().filter(|known| known.starts_with(asked));
        asked.count()
    }
}

/// A machine of which Azure leaves out whether it runs.
pub(crate) fn untold() -> ResponseTemplate {
    let statuses = [json!({ "code": "ProvisioningState/updating" })];
    let view = json!({ "statuses": statuses });
    let properties = json!({ "provisioningState": "Updating", "instanceView": view });
    ResponseTemplate::new(200).set_body_json(json!({ "name": "vm", "properties": properties }))
}

/// An answer of no in the shape of Azure Resource Manager.
pub(crate) fn refusal(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let error = json!({ "error": { "code": code, "message": message } });
    ResponseTemplate::new(status).set_body_json(error)
}

pub(crate) fn provider(path: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/{path}")
}

impl State {
    fn new(token: &str) -> Self {
        let machine = |address| Machine {
            power: "running",
            provisioning: "Succeeded",
            vm_id: format!("{:032x}", fastrand::u128(..)),
            is_ephemeral: false,
            address,
        };
        let allow = |name: &str, priority: u16, port: &str| {
            json!({ "name": name, "etag": "W/\"1\"", "properties": {
                "priority": priority, "direction": "Inbound", "access": "Allow", "protocol": "Tcp",
                "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": port,
            } })
        };
        let on = json!({ "enabledState": "Enabled", "provisioningState": "Succeeded", "deploymentStatus": "NotStarted" });
        let given_out = json!({ "endpointStatus": "Enabled", "endpointMonitorStatus": "Online", "target": "vm.example.com" });
        let switches = [
            (
                "Microsoft.Network/trafficManagerProfiles/profile/externalEndpoints/vm",
                given_out,
            ),
            ("Microsoft.Cdn/profiles/front/afdEndpoints/www", on.clone()),
            (
                "Microsoft.Cdn/profiles/front/afdEndpoints/www/routes/all",
                on.clone(),
            ),
            (
                "Microsoft.Cdn/profiles/front/originGroups/all/origins/vm",
                on,
            ),
        ];
        Self {
            machines: BTreeMap::from([
                ("vm".to_owned(), machine(None)),
                ("static".to_owned(), machine(Some("Static"))),
                ("dynamic".to_owned(), machine(Some("Dynamic"))),
            ]),
            rules: vec![allow("ssh", 200, "22"), allow("http", 300, "80")],
            group_is_there: true,
            etag: 1,
            switches: switches.map(|(path, on)| (provider(path), on)).into(),
            website: (true, Some("index.html".into()), Some("404.html".into())),
            locks: Vec::new(),
            granted: json!([{ "actions": ["*"], "notActions": [] }]),
            news: News::AsyncOperation,
            end: End::Succeeds,
            looks: 2,
            dawdles: false,
            operations: BTreeMap::new(),
            trouble: VecDeque::new(),
            asked: Vec::new(),
            token: token.to_owned(),
        }
    }

    /// Has somebody else do something to a machine that leaves its power so.
    pub(crate) fn operate(&mut self, name: &str, power: &'static str) {
        self.machines.get_mut(name).unwrap().provisioning = "Updating";
        self.operation_of(Effect::Power(name.to_owned(), power));
    }

    fn operation_of(&mut self, effect: Effect) -> u32 {
        let id = u32::try_from(self.operations.len()).unwrap();
        let operation = Operation {
            looks_left: self.looks,
            end: self.end,
            effect,
        };
        self.operations.insert(id, operation);
        id
    }

    /// Begins something that is carried out by itself.
    fn begin(&mut self, request: &Request, status: u16, effect: Effect) -> ResponseTemplate {
        let id = self.operation_of(effect);
        let host = request.headers["host"].to_str().unwrap();
        let address = format!(
            "http://{host}/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Any/locations/westeurope/operations/{id}?api-version=1"
        );
        let header = match self.news {
            News::AsyncOperation => "Azure-AsyncOperation",
            News::Location => "Location",
        };
        ResponseTemplate::new(status)
            .insert_header(header, address)
            .insert_header("Retry-After", "0")
    }

    /// Time goes on: each look at an operation, or at what it changes, brings it nearer to its end.
    fn goes_on(&mut self, id: u32) -> Option<End> {
        let operation = self.operations.get_mut(&id)?;
        if operation.end == End::Never {
            return None;
        }
        operation.looks_left = operation.looks_left.saturating_sub(1);
        if operation.looks_left > 0 {
            return None;
        }
        let operation = operation.clone();
        if let Effect::Power(name, power) = &operation.effect
            && let Some(machine) = self.machines.get_mut(name)
        {
            if operation.end == End::Succeeds {
                (machine.power, machine.provisioning) = (power, "Succeeded");
            } else {
                machine.provisioning = "Failed";
            }
        }
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.effect = Effect::Nothing;
        }
        Some(operation.end)
    }

    fn operation(&mut self, id: u32) -> ResponseTemplate {
        let is_by_location = self.news == News::Location;
        match self.goes_on(id) {
            Some(End::Succeeds) if is_by_location => ResponseTemplate::new(204),
            Some(End::Succeeds) => {
                ResponseTemplate::new(200).set_body_json(json!({ "status": "Succeeded" }))
            }
            Some(End::Fails) if is_by_location => {
                refusal(409, "AllocationFailed", "There is no capacity.")
            }
            Some(End::Fails) => ResponseTemplate::new(200).set_body_json(json!({
                "status": "Failed",
                "error": { "code": "AllocationFailed", "message": "There is no capacity." },
            })),
            Some(End::Never) | None if is_by_location => {
                ResponseTemplate::new(202).insert_header("Retry-After", "0")
            }
            Some(End::Never) | None => ResponseTemplate::new(200)
                .insert_header("Retry-After", "0")
                .set_body_json(json!({ "status": "InProgress" })),
        }
    }

    fn machine(&mut self, request: &Request, rest: &str) -> ResponseTemplate {
        let (name, action) = rest.split_once('/').unwrap_or((rest, ""));
        let ids: Vec<u32> = self.operations.keys().copied().collect();
        let changes =
            |operation: &Operation| matches!(&operation.effect, Effect::Power(of, _) if of == name);
        for id in ids
            .into_iter()
            .filter(|id| changes(&self.operations[id]))
            .collect::<Vec<_>>()
        {
            if action.is_empty() {
                self.goes_on(id);
            }
        }
        let Some(machine) = self.machines.get_mut(name) else {
            return refusal(404, "ResourceNotFound", "The resource was not found.");
        };
        let (during, after) = match action {
            "powerOff" => ("stopping", "stopped"),
            "deallocate" => ("deallocating", "deallocated"),
            "start" => ("starting", "running"),
            _ => return ResponseTemplate::new(200).set_body_json(body_of(name, machine)),
        };
        let is_moving = matches!(machine.power, "stopping" | "deallocating" | "starting");
        if is_moving || machine.provisioning == "Updating" {
            let message = "Another operation is in progress on the virtual machine.";
            return refusal(409, "OperationNotAllowed", message);
        }
        machine.provisioning = "Updating";
        if !self.dawdles {
            machine.power = during;
        }
        self.begin(request, 202, Effect::Power(name.to_owned(), after))
    }

    fn group(&mut self, request: &Request, rest: &str) -> ResponseTemplate {
        if !self.group_is_there || !rest.starts_with("nsg") {
            return refusal(404, "ResourceNotFound", "The resource was not found.");
        }
        let Some((_, name)) = rest.split_once("/securityRules/") else {
            return ResponseTemplate::new(200).set_body_json(json!({
                "name": "nsg",
                "etag": format!("W/\"{}\"", self.etag),
                "properties": { "resourceGuid": "5c0a", "provisioningState": "Succeeded", "securityRules": self.rules },
            }));
        };
        let at = self.rules.iter().position(|rule| rule["name"] == name);
        match (request.method.as_str(), at) {
            ("PUT", _) => {
                let mut rule: Value = request.body_json().unwrap();
                let key = |rule: &Value| {
                    let properties = &rule["properties"];
                    (
                        properties["priority"].clone(),
                        properties["direction"].clone(),
                    )
                };
                let is_taken = |known: &&Value| known["name"] != name && key(known) == key(&rule);
                if let Some(other) = self.rules.iter().find(is_taken) {
                    let message = format!("Rule {name} conflicts with rule {}.", other["name"]);
                    return refusal(400, "SecurityRuleConflict", &message);
                }
                self.etag += 1;
                rule["name"] = name.into();
                rule["etag"] = format!("W/\"{}\"", self.etag).into();
                self.rules.retain(|known| known["name"] != name);
                self.rules.push(rule.clone());
                rule["properties"]["provisioningState"] = "Updating".into();
                self.begin(request, 201, Effect::Nothing)
                    .set_body_json(rule)
            }
            ("DELETE", Some(at)) => {
                let wanted = request.headers.get("if-match");
                let wanted = wanted.map(|etag| etag.to_str().unwrap().to_owned());
                if wanted.is_some_and(|etag| self.rules[at]["etag"] != etag.as_str()) {
                    return refusal(412, "PreconditionFailed", "The rule was changed.");
                }
                self.etag += 1;
                self.rules.remove(at);
                self.begin(request, 202, Effect::Nothing)
            }
            ("DELETE", None) => ResponseTemplate::new(204),
            _ => refusal(405, "MethodNotAllowed", "No."),
        }
    }

    fn switch(&mut self, request: &Request, path: &str) -> Option<ResponseTemplate> {
        let properties = self.switches.get_mut(path)?;
        let name = path.rsplit('/').next();
        if request.method.as_str() != "PATCH" {
            let body = json!({ "name": name, "properties": properties });
            return Some(ResponseTemplate::new(200).set_body_json(body));
        }
        let patch: Value = request.body_json().unwrap();
        for (key, value) in patch["properties"].as_object().unwrap() {
            properties[key] = value.clone();
        }
        let body = json!({ "name": name, "properties": properties });
        if path.contains("Microsoft.Cdn") {
            return Some(
                self.begin(request, 202, Effect::Nothing)
                    .set_body_json(body),
            );
        }
        Some(ResponseTemplate::new(200).set_body_json(body))
    }

    /// A profile of Traffic Manager, which names its endpoints with their types.
    fn profile(&self, path: &str) -> Option<ResponseTemplate> {
        let endpoints: Vec<Value> = self
            .switches
            .iter()
            .filter_map(|(known, properties)| {
                let (kind, name) = known
                    .strip_prefix(path)?
                    .strip_prefix('/')?
                    .split_once('/')?;
                let kind = format!("Microsoft.Network/trafficManagerProfiles/{kind}");
                Some(json!({ "name": name, "type": kind, "properties": properties }))
            })
            .collect();
        if endpoints.is_empty() || !path.contains("trafficManagerProfiles") {
            return None;
        }
        let body = json!({ "properties": { "endpoints": endpoints } });
        Some(ResponseTemplate::new(200).set_body_json(body))
    }

    fn blob(&mut self, request: &Request) -> ResponseTemplate {
        let query = request.url.query().unwrap_or_default();
        if query != "restype=service&comp=properties"
            || !request.headers.contains_key("x-ms-version")
        {
            return ResponseTemplate::new(400);
        }
        if request.method.as_str() == "PUT" {
            let text = String::from_utf8(request.body.clone()).unwrap();
            let inside = |tag: &str| {
                let (_, rest) = text.split_once(&format!("<{tag}>"))?;
                Some(rest.split_once("</")?.0.to_owned())
            };
            self.website = (
                inside("Enabled").unwrap() == "true",
                inside("IndexDocument"),
                inside("ErrorDocument404Path"),
            );
            return ResponseTemplate::new(202);
        }
        let (is_on, index, error) = &self.website;
        let element = |tag: &str, value: &Option<String>| {
            value
                .as_ref()
                .map_or_else(String::new, |value| format!("<{tag}>{value}</{tag}>"))
        };
        let xml = format!(
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><Logging><Version>1.0</Version><Read>false</Read>\
             </Logging><Cors /><StaticWebsite><Enabled>{is_on}</Enabled>{}{}</StaticWebsite></StorageServiceProperties>",
            element("IndexDocument", index),
            element("ErrorDocument404Path", error)
        );
        ResponseTemplate::new(200).set_body_raw(xml, "application/xml")
    }

    fn answer(&mut self, request: &Request) -> ResponseTemplate {
        let (method, path) = (request.method.as_str(), request.url.path().to_owned());
        let if_match = request.headers.get("if-match");
        let if_match = if_match.map_or("", |etag| etag.to_str().unwrap());
        self.asked
            .push(format!("{method} {path} {if_match}").trim().to_owned());
        let is_it = |trouble: &Trouble| trouble.method == method && path.contains(&trouble.path);
        if let Some(at) = self.trouble.iter().position(is_it) {
            return self.trouble.remove(at).unwrap().answer;
        }
        let token = request.headers.get("authorization");
        if token.is_none_or(|token| token.to_str().unwrap() != format!("Bearer {}", self.token)) {
            return refusal(
                401,
                "InvalidAuthenticationToken",
                "The access token is invalid.",
            );
        }
        if path.starts_with("/blob/sorry") {
            return self.blob(request);
        }
        if !request
            .url
            .query_pairs()
            .any(|(key, _)| key == "api-version")
        {
            return refusal(
                400,
                "MissingApiVersionParameter",
                "The api-version is required.",
            );
        }
        if let Some((_, id)) = path.split_once("/operations/") {
            return self.operation(id.parse().unwrap());
        }
        if path.ends_with("/providers/Microsoft.Authorization/permissions") {
            return ResponseTemplate::new(200).set_body_json(json!({ "value": self.granted }));
        }
        if path.ends_with("/providers/Microsoft.Authorization/locks") {
            return ResponseTemplate::new(200).set_body_json(json!({ "value": self.locks }));
        }
        if let Some(answer) = self.switch(request, &path).or_else(|| self.profile(&path)) {
            return answer;
        }
        let of = |kind: &str| path.strip_prefix(&provider(&format!("{kind}/")));
        if let Some(rest) = of(COMPUTE) {
            return self.machine(request, rest);
        }
        if let Some(rest) = of(SECURITY) {
            return self.group(request, rest);
        }
        if let Some(name) = of("Microsoft.Network/networkInterfaces") {
            let public = provider(&format!("Microsoft.Network/publicIPAddresses/{name}"));
            let address = json!({ "properties": { "publicIPAddress": { "id": public } } });
            let body =
                json!({ "properties": { "ipConfigurations": [{ "properties": {} }, address] } });
            return ResponseTemplate::new(200).set_body_json(body);
        }
        if let Some(name) = of("Microsoft.Network/publicIPAddresses") {
            let method = self.machines[name].address;
            let body =
                json!({ "name": name, "properties": { "publicIPAllocationMethod": method } });
            return ResponseTemplate::new(200).set_body_json(body);
        }
        if path == provider("Microsoft.Storage/storageAccounts/sorry") {
            let host = request.headers["host"].to_str().unwrap();
            let endpoints = json!({ "blob": format!("http://{host}/blob/sorry/") });
            let body = json!({ "properties": { "primaryEndpoints": endpoints } });
            return ResponseTemplate::new(200).set_body_json(body);
        }
        refusal(404, "ResourceNotFound", "The resource was not found.")
    }
}

fn body_of(name: &str, machine: &Machine) -> Value {
    let disk = if machine.is_ephemeral {
        json!({ "diffDiskSettings": { "option": "Local" } })
    } else {
        json!({})
    };
    let interfaces = match machine.address {
        Some(_) => {
            json!([{ "id": provider(&format!("Microsoft.Network/networkInterfaces/{name}")) }])
        }
        None => json!([]),
    };
    let mut statuses = vec![
        json!({ "code": format!("ProvisioningState/{}", machine.provisioning.to_lowercase()) }),
    ];
    if !machine.power.is_empty() {
        statuses.push(json!({ "code": format!("PowerState/{}", machine.power) }));
    }
    json!({
        "name": name,
        "properties": {
            "provisioningState": machine.provisioning,
            "vmId": machine.vm_id,
            "storageProfile": { "osDisk": disk },
            "networkProfile": { "networkInterfaces": interfaces },
            "instanceView": { "statuses": statuses },
        },
    })
}

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.state.lock().unwrap().answer(request)
    }
}
