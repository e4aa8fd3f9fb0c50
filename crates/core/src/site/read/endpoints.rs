//! Reads the endpoints of a role: `[roles.endpoints.<name>]` changes those that come with its kind,
//! `[[roles.custom]]` names those of any other service.

use crate::configuration::{ByteSize, Fault, Table, Value, list_names};
use crate::site::endpoint::{Authentication, Encoding, Endpoint, ExternalPath, Methods};
use crate::site::kinds::{BuiltInEndpoint, Needs, RoleKind};
use crate::site::role::{Rewrite, SiteRoute};
use crate::{limits, named_setting};
use bytes::Bytes;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

named_setting!(Encoding, [("strict", Encoding::Strict), ("relaxed", Encoding::Relaxed)]);

/// What a file may say about one built-in endpoint.
struct Change {
    name: String,
    enabled: Option<bool>,
    max_request_body: Option<ByteSize>,
    answer_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
    encoded: Option<Encoding>,
}

/// The endpoints that come with the kind, with the file's changes, as far as they are published.
pub(super) fn built_in(table: &mut Table<'_>, kind: Option<RoleKind>, published: bool) -> Vec<SiteRoute> {
    let changes = table.named_tables("endpoints", |name, table| {
        let change = Change {
            name: name.to_owned(),
            enabled: table.described("enabled", "true, but false where affinity or tokens are needed"),
            max_request_body: table.described("max_request_body", "by kind"),
            answer_timeout: timeout(table, "answer_timeout", "\"60s\", for BGB \"15m\""),
            idle_timeout: timeout(table, "idle_timeout", "\"60s\""),
            encoded: table.described("encoded", "\"strict\""),
        };
        if let Some(kind) = kind {
            judge_change(table, kind, &change);
        }
        Some(change)
    });
    let Some(kind) = kind.filter(|_| published) else { return Vec::new() };
    let rows = kind.built_in().iter().filter(|row| row.needs == Needs::Nothing);
    let routes = rows.filter_map(|row| {
        let change = changes.iter().find(|change| change.name.eq_ignore_ascii_case(row.name));
        let endpoint = changed(kind.endpoint(row), change)?;
        Some(SiteRoute { endpoint: Arc::new(endpoint), rewrite: Rewrite::Keep })
    });
    routes.collect()
}

fn changed(mut endpoint: Endpoint, change: Option<&Change>) -> Option<Endpoint> {
    let Some(change) = change else { return Some(endpoint) };
    if change.enabled == Some(false) {
        return None;
    }
    endpoint.max_request_body = change.max_request_body.map_or(endpoint.max_request_body, |size| size.0);
    endpoint.answer_timeout = change.answer_timeout.unwrap_or(endpoint.answer_timeout);
    endpoint.idle_timeout = change.idle_timeout.unwrap_or(endpoint.idle_timeout);
    endpoint.encoding = change.encoded.unwrap_or(endpoint.encoding);
    Some(endpoint)
}

fn judge_change(table: &Table<'_>, kind: RoleKind, change: &Change) {
    let row = kind.built_in().iter().find(|row| row.name.eq_ignore_ascii_case(&change.name));
    match row {
        None if kind == RoleKind::Custom => {
            table.problem("", "a custom role has no built-in endpoints", "write the settings into [[roles.custom]]");
        }
        None => {
            let names = kind.built_in().iter().map(|row| row.name);
            let message = format!("{:?} is no endpoint of a {}", change.name, kind.name());
            table.problem("", message, format!("write {}", list_names(names)));
        }
        Some(BuiltInEndpoint { needs: Needs::Token, .. }) if change.enabled == Some(true) => table.problem(
            "enabled",
            "this endpoint is for clients with tokens, which are not available yet",
            "leave it out; clients with certificates use the endpoint without _TokenAuth",
        ),
        Some(BuiltInEndpoint { needs: Needs::Affinity, .. }) if change.enabled == Some(true) => table.problem(
            "enabled",
            "this endpoint authenticates users by Negotiate, which needs connection affinity, not available yet",
            "leave it out",
        ),
        Some(_) => {}
    }
}

/// What a file may ask of a client at a custom endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthenticationName {
    Certificate,
    Token,
    Anonymous,
}

named_setting!(
    AuthenticationName,
    [
        ("certificate", AuthenticationName::Certificate),
        ("token", AuthenticationName::Token),
        ("anonymous", AuthenticationName::Anonymous)
    ]
);

/// `[[roles.custom]]`.
pub(super) fn custom(table: &mut Table<'_>, kind: Option<RoleKind>) -> Vec<SiteRoute> {
    let routes = table.tables("custom", custom_endpoint);
    match kind {
        Some(RoleKind::Custom) if !table.has("custom") => table.problem(
            "custom",
            "a custom role names its endpoints",
            "write [[roles.custom]] with name, external_prefix and methods",
        ),
        Some(kind) if kind != RoleKind::Custom && table.has("custom") => table.problem(
            "custom",
            format!("a {} has the endpoints of its kind only", kind.name()),
            "give the service a role of kind = \"custom\"",
        ),
        _ => {}
    }
    if routes.len() > limits::ROLE_ENDPOINTS {
        let message = format!("more than {} endpoints", limits::ROLE_ENDPOINTS);
        table.problem("custom", message, "split the service into several roles");
    }
    routes
}

fn custom_endpoint(table: &mut Table<'_>) -> Option<SiteRoute> {
    let name: Option<EndpointName> = table.required("name");
    let prefix: Option<crate::site::permissions::ExternalPrefix> =
        table.described("external_prefix", "none: /CCM_Proxy_MutualAuth/<role id>/<name>/");
    let internal_path: Option<InternalPath> = table.described("internal_path", "the external path");
    let methods = methods(table);
    let authentication = authentication(table);
    let max_request_body = table.default("max_request_body", ByteSize(RoleKind::Custom.max_request_body()));
    let waits = table.default("waits", false);
    let answer_timeout = timeout(table, "answer_timeout", "\"60s\", with waits \"15m\"");
    let idle_timeout = timeout(table, "idle_timeout", "\"60s\"").unwrap_or(limits::BODY_IDLE);
    let encoding = table.default("encoded", Encoding::Strict);
    let bulk = table.default("bulk", false);
    let by_waits = if waits { limits::WAITING_ANSWER_TIMEOUT } else { limits::ANSWER_TIMEOUT };
    let name = name?.0;
    let external_path = match prefix {
        Some(prefix) => ExternalPath::Prefix(prefix.as_str().to_owned()),
        None => ExternalPath::BehindRole(name.clone()),
    };
    let endpoint = Endpoint {
        name,
        external_path,
        methods: methods?,
        authentication: authentication?,
        max_request_body: max_request_body.0,
        waits,
        answer_timeout: answer_timeout.unwrap_or(by_waits),
        idle_timeout,
        encoding,
        bulk,
    };
    let rewrite = internal_path.map_or(Rewrite::Keep, |path| Rewrite::Replace(Bytes::from(path.0)));
    Some(SiteRoute { endpoint: Arc::new(endpoint), rewrite })
}

fn methods(table: &mut Table<'_>) -> Option<Methods> {
    let methods: Vec<String> = table.required("methods")?;
    match Methods::new(methods) {
        Ok(methods) => Some(methods),
        Err(message) => {
            table.problem("methods", message, "write for example methods = [\"GET\", \"HEAD\", \"POST\"]");
            None
        }
    }
}

fn authentication(table: &mut Table<'_>) -> Option<Authentication> {
    let name = table.default("authentication", AuthenticationName::Certificate);
    let allowed = table.default("allow_anonymous", false);
    match name {
        AuthenticationName::Certificate => Some(Authentication::Certificate),
        AuthenticationName::Token => {
            table.problem("authentication", "tokens are not available yet", "write \"certificate\"");
            None
        }
        AuthenticationName::Anonymous if allowed => Some(Authentication::Anonymous),
        AuthenticationName::Anonymous => {
            table.problem(
                "authentication",
                "an anonymous endpoint is open to anybody on the internet",
                "write allow_anonymous = true beside it if that is meant, or authentication = \"certificate\"",
            );
            None
        }
    }
}

fn timeout(table: &mut Table<'_>, name: &'static str, default: &str) -> Option<Duration> {
    let timeout: Option<Duration> = table.described(name, default);
    if timeout.is_some_and(|timeout| timeout.is_zero() || timeout > limits::LONGEST_TIMEOUT) {
        let most = limits::LONGEST_TIMEOUT.print();
        table.problem(name, "no exchange works with this", format!("write more than \"0s\" and at most {most}"));
    }
    timeout
}

/// One path segment that is also a metric label.
#[derive(Clone, Debug)]
struct EndpointName(String);

impl Value for EndpointName {
    fn kind() -> String {
        "endpoint name".to_owned()
    }
    fn example() -> String {
        "\"Reports\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        match ExternalPath::parse(text) {
            Ok(ExternalPath::BehindRole(name)) if name.len() <= limits::ENDPOINT_NAME => Ok(Self(name)),
            _ => Err(Fault::new(
                format!("{text:?} is not a name for an endpoint"),
                format!("write at most {} letters, digits, _, - or .", limits::ENDPOINT_NAME),
            )),
        }
    }
    fn print(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// A path without its last slash: empty for the root.
#[derive(Clone, Debug)]
struct InternalPath(String);

impl Value for InternalPath {
    fn kind() -> String {
        "path".to_owned()
    }
    fn example() -> String {
        "\"/\" or \"/reports/\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let visible = |byte: u8| byte.is_ascii_graphic() && !b"?#\\\"<>".contains(&byte);
        let dots = text.split('/').any(|segment| segment == "." || segment == "..") || text.contains("//");
        let inner = text.strip_suffix('/').filter(|_| text.starts_with('/') && !dots && text.bytes().all(visible));
        inner.map(|inner| Self(inner.to_owned())).ok_or_else(|| {
            let instead = "write a path that begins and ends with a slash, without query or dot segments";
            Fault::new(format!("{text:?} is not a path to put in front"), instead)
        })
    }
    fn print(&self) -> String {
        format!("\"{}/\"", self.0)
    }
}
