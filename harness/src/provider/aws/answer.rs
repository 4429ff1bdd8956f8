//! Reading what AWS answers: XML as a tree, and the shapes in which errors come.

use std::{borrow::Cow, fmt};

use quick_xml::{Reader, escape::resolve_xml_entity, events::Event};
use serde_json::Value;

/// How deep an answer may nest.
const DEEPEST: usize = 32;
/// How much of what a service says of an error is shown: EC2 sends kilobytes of encoded text with some.
const MESSAGE_LIMIT: usize = 400;

/// An element of an XML document. Namespaces are left out: each service has one of its own, and nothing else is told by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: String,
    /// Its own text, without that of what is in it.
    pub(super) own_text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Reads a document. Yields why it is none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::from_str(text);
        // The last is the one that is open; the first is the document.
        let mut open = vec![Self::default()];
        loop {
            let event = reader.read_event().map_err(|error| error.to_string())?;
            match event {
                Event::Start(start) => {
                    if open.len() > DEEPEST {
                        return Err("it nests too deep".to_owned());
                    }
                    open.push(Self::named(start.local_name().as_ref()));
                }
                Event::Empty(start) => {
                    let empty = Self::named(start.local_name().as_ref());
                    Self::last(&mut open).children.push(empty);
                }
                Event::End(_) => {
                    if let Some(done) = open.pop() {
                        Self::last(&mut open).children.push(done);
                    }
                }
                Event::Text(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    Self::last(&mut open).own_text.push_str(&text);
                }
                Event::CData(text) => {
                    let text = text.decode().map_err(|error| error.to_string())?;
                    Self::last(&mut open).own_text.push_str(&text);
                }
                Event::GeneralRef(reference) => {
                    let character = reference
                        .resolve_char_ref()
                        .map_err(|error| error.to_string())?;
                    let name = reference.decode().map_err(|error| error.to_string())?;
                    let own_text = &mut Self::last(&mut open).own_text;
                    match (character, resolve_xml_entity(&name)) {
                        (Some(character), _) => own_text.push(character),
                        (None, Some(text)) => own_text.push_str(text),
                        (None, None) => return Err(format!("it has an unknown entity `{name}`")),
                    }
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        let mut roots = Self::last(&mut open).children.drain(..);
        match (roots.next(), roots.next()) {
            (Some(root), None) => Ok(root),
            _ => Err("it has no single root".to_owned()),
        }
    }

    fn named(name: &[u8]) -> Self {
        Self {
            name: String::from_utf8_lossy(name).into_owned(),
            ..Self::default()
        }
    }

    /// The innermost open element. The reader refuses an end without a start, so that one is always left.
    fn last(open: &mut Vec<Self>) -> &mut Self {
        if open.is_empty() {
            open.push(Self::default());
        }
        let last = open.len() - 1;
        &mut open[last]
    }

    /// The first element of this name right below.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The first element at the end of this path.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter()
            .try_fold(self, |element, name| element.child(name))
    }

    /// The text of the element of this name right below.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.own_text.trim())
    }

    /// The text of an element right below as something else.
    pub(super) fn parsed<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// The entries of a list right below, whatever each is called there.
    pub(super) fn list(&self, name: &str) -> impl Iterator<Item = &Self> {
        let list = self.child(name);
        list.into_iter().flat_map(|list| &list.children)
    }

    /// The first element of this name anywhere in it.
    pub(super) fn find(&self, name: &str) -> Option<&Self> {
        if self.name == name {
            return Some(self);
        }
        self.children.iter().find_map(|child| child.find(name))
    }

    /// Every element of this name, however deep.
    pub(super) fn find_all<'e>(&'e self, name: &str) -> Vec<&'e Self> {
        let below = self.children.iter().flat_map(|child| child.find_all(name));
        let own = (self.name == name).then_some(self);
        own.into_iter().chain(below).collect()
    }
}

impl fmt::Display for Element {
    /// As XML, without a namespace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.name)?;
        if self.children.is_empty() {
            f.write_str(&escaped(&self.own_text))?;
        }
        for child in &self.children {
            child.fmt(f)?;
        }
        write!(f, "</{}>", self.name)
    }
}

/// A text as it stands in XML.
pub(super) fn escaped(text: &str) -> Cow<'_, str> {
    quick_xml::escape::escape(text)
}

/// What a service said was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) code: String,
    pub(super) message: String,
}

impl Complaint {
    fn new(code: &str, message: &str) -> Self {
        let mut message: String = message.split_whitespace().collect::<Vec<_>>().join(" ");
        if message.chars().count() > MESSAGE_LIMIT {
            message = message.chars().take(MESSAGE_LIMIT).collect();
            message.push('…');
        }
        Self {
            code: code.to_owned(),
            message,
        }
    }

    /// What an XML document says. Three shapes are in use: `ErrorResponse/Error` of the query protocol and of Route 53,
    /// `Response/Errors/Error` of EC2, and of Route 53 besides an element of the error's own name with messages.
    pub(super) fn of_xml(text: &str) -> Option<Self> {
        let root = Element::parse(text).ok()?;
        if let Some(code) = root.find("Code") {
            let message = root.find("Message").or_else(|| root.find("message"));
            let message = message.map_or("", |message| message.own_text.as_str());
            return Some(Self::new(code.own_text.trim(), message));
        }
        let messages = root.child("Messages")?;
        let messages: Vec<&str> = messages
            .children
            .iter()
            .map(|message| message.own_text.trim())
            .collect();
        Some(Self::new(&root.name, &messages.join("; ")))
    }

    /// What a JSON document says. The code is in a header or in the document, with a namespace before it or an address after it.
    pub(super) fn of_json(header: Option<&str>, text: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(text).unwrap_or_default();
        let in_body = ["__type", "code"]
            .iter()
            .find_map(|key| body[*key].as_str());
        let code = header.or(in_body)?;
        let code = code.split(':').next().unwrap_or(code);
        let code = code.rsplit('#').next().unwrap_or(code);
        let message = ["message", "Message"]
            .iter()
            .find_map(|key| body[*key].as_str());
        Some(Self::new(code, message.unwrap_or_default()))
    }
}

/// The title of a web page, if that is what somebody has answered instead of the API.
pub(super) fn title_of_page(content_type: &str, text: &str) -> Option<String> {
    let start: String = text.trim_start().chars().take(20).collect();
    let start = start.to_ascii_lowercase();
    let is_page = content_type.starts_with("text/html")
        || start.starts_with("<!doctype html")
        || start.starts_with("<html");
    if !is_page {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let title = lower
        .find("<title>")
        .zip(lower.find("</title>"))
        .and_then(|(start, end)| text.get(start + "<title>".len()..end))
        .unwrap_or_default();
    Some(title.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_a_tree_without_namespaces() {
        let text = "<?xml version=\"1.0\"?><a:Answer xmlns:a=\"urn:x\"><Set><item><Id>1 &amp; &#50;</Id></item>\
                    <item><Id><![CDATA[<3>]]></Id></item></Set><Empty/></a:Answer>";
        let root = Element::parse(text).unwrap();
        let ids: Vec<_> = root
            .list("Set")
            .filter_map(|item| item.text("Id"))
            .collect();
        assert_eq!(ids, ["1 & 2", "<3>"]);
        assert_eq!(root.text("Empty"), Some(""));
        assert_eq!(root.find_all("Id").len(), 2);
    }

    #[test]
    fn a_tree_is_written_as_it_was_read() {
        let text = "<Set><Name>a &amp; b &lt;c&gt;</Name><Empty></Empty><List><V>1</V><V>2</V></List></Set>";
        assert_eq!(Element::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in [
            "",
            "nothing",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a>&unknown;</a>",
            &"<a>".repeat(40),
        ] {
            assert!(Element::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn errors_of_each_protocol_are_read() {
        let complaint = |code: &str, message: &str| Some(Complaint::new(code, message));
        // The query protocol, and Route 53 with a namespace of its own.
        let query = "<ErrorResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\"><Error><Type>Sender</Type>\
                     <Code>TargetGroupNotFound</Code><Message>One or more target groups not found</Message></Error>\
                     <RequestId>r</RequestId></ErrorResponse>";
        assert_eq!(
            Complaint::of_xml(query),
            complaint("TargetGroupNotFound", "One or more target groups not found")
        );
        let ec2 = "<Response><Errors><Error><Code>InvalidGroup.NotFound</Code><Message>The security group 'sg-1' does not exist\
                   </Message></Error></Errors><RequestID>r</RequestID></Response>";
        assert_eq!(
            Complaint::of_xml(ec2),
            complaint(
                "InvalidGroup.NotFound",
                "The security group 'sg-1' does not exist"
            )
        );
        let batch = "<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Messages><Message>one</Message>\
                     <Message>two</Message></Messages><RequestId>r</RequestId></InvalidChangeBatch>";
        assert_eq!(
            Complaint::of_xml(batch),
            complaint("InvalidChangeBatch", "one; two")
        );
        assert_eq!(
            Complaint::of_json(
                Some("ThrottlingException:http://internal.amazon.com/"),
                "{\"message\":\"Rate exceeded\"}"
            ),
            complaint("ThrottlingException", "Rate exceeded")
        );
        assert_eq!(
            Complaint::of_json(
                None,
                "{\"__type\":\"com.amazonaws.arczonalshift#ConflictException\",\"Message\":\"no\"}"
            ),
            complaint("ConflictException", "no")
        );
    }

    #[test]
    fn what_goes_on_for_pages_is_cut() {
        let long = Complaint::new("UnauthorizedOperation", &"encoded ".repeat(1000));
        assert_eq!(long.message.chars().count(), MESSAGE_LIMIT + 1);
    }

    #[test]
    fn a_web_page_is_known_by_its_type_or_its_beginning() {
        let page = "<!DOCTYPE HTML>\n<html><head><title>404\n Not Found</title></head></html>";
        for content_type in ["text/html; charset=utf-8", ""] {
            assert_eq!(
                title_of_page(content_type, page).as_deref(),
                Some("404 Not Found")
            );
        }
        assert_eq!(title_of_page("text/xml", "<ErrorResponse/>"), None);
    }
}
