//! `[egress]`: the proxy on the way to gateways (T-07). Without the key the environment speaks: `HTTPS_PROXY` and
//! `NO_PROXY`, in capitals or not. No message holds what might be a password.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use cmg_core::configuration::{Fault, HostPort, Place, Table, Value};
use cmg_core::limits;

use crate::egress::{Egress, Login, NoProxy, Proxy};

/// What the environment says about proxies.
#[derive(Default)]
pub struct ProxyVariables {
    /// The name of the variable and its value.
    proxy: Option<(&'static str, String)>,
    except: Option<String>,
}

impl ProxyVariables {
    pub fn none() -> Self {
        Self::default()
    }

    pub fn of_process() -> Self {
        Self::of(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// The same for variables that the caller looks up. An empty one is none.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &'static str| variable(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        let except = set("NO_PROXY").or_else(|| set("no_proxy")).map(|(_, value)| value);
        Self { proxy: set("HTTPS_PROXY").or_else(|| set("https_proxy")), except }
    }
}

/// The value of `egress.proxy`.
enum Way {
    Direct,
    Proxy(HostPort),
}

impl Value for Way {
    fn kind() -> String {
        "URL of an HTTP proxy, or \"none\"".to_owned()
    }
    fn example() -> String {
        "\"http://proxy.example.net:3128\" or \"none\"".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        if text == "none" {
            return Ok(Self::Direct);
        }
        if text.contains('@') {
            let instead = "write them as egress.username and egress.password_file";
            return Err(Fault::new("holds user or password", instead));
        }
        match text.split_once("://") {
            Some(_) => http_proxy(text).map(Self::Proxy),
            None => Err(Fault::new("is not the URL of a proxy", format!("write for example {}", Self::example()))),
        }
    }
    fn print(&self) -> String {
        match self {
            Way::Direct => "\"none\"".to_owned(),
            Way::Proxy(address) => format!("\"http://{address}\""),
        }
    }
}

/// The value of `HTTPS_PROXY`, which may leave out the scheme and may hold a login.
struct SharedWay {
    address: HostPort,
    login: Option<Login>,
}

impl Value for SharedWay {
    fn kind() -> String {
        Way::kind()
    }
    fn example() -> String {
        "http://proxy.example.net:3128".to_owned()
    }
    fn from_text(text: &str, _: Option<&Path>) -> Result<Self, Fault> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (user, rest) = rest.rsplit_once('@').map_or((None, rest), |(user, rest)| (Some(user), rest));
        let wrong = || {
            let instead = "percent-encode what is no letter or digit in user and password, or set egress.proxy, \
                           egress.username and egress.password_file instead";
            Fault::new("holds a login that cannot be read", instead)
        };
        let login = user.map(|user| login_of(user).ok_or_else(wrong)).transpose()?;
        Ok(Self { address: http_proxy(&format!("{scheme}://{rest}"))?, login })
    }
    fn print(&self) -> String {
        let login = if self.login.is_some() { "***@" } else { "" };
        format!("\"http://{login}{}\"", self.address)
    }
}

/// Of a URL without login.
fn http_proxy(url: &str) -> Result<HostPort, Fault> {
    let example = format!("write for example {}", Way::example());
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("http") {
        let message = "only proxies that are spoken to in HTTP without TLS, by CONNECT, are supported";
        return Err(Fault::new(message, example));
    }
    let address = HostPort::from_text(rest.strip_suffix('/').unwrap_or(rest), None);
    address.map_err(|_| Fault::new("does not name host and port of a proxy", example))
}

/// `user:password`, percent-encoded.
fn login_of(text: &str) -> Option<Login> {
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    let [username, password] = [username, password].map(decoded);
    let (username, password) = (username?, password?);
    (is_username(&username) && !password.chars().any(char::is_control)).then(|| Login::new(username, password))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        out.push(if byte == b'%' { digit()? << 4 | digit()? } else { byte });
    }
    String::from_utf8(out).ok()
}

/// A colon would end it, and half of it would be taken for the password.
fn is_username(text: &str) -> bool {
    !text.is_empty() && !text.contains(':') && !text.chars().any(char::is_control)
}

pub(super) fn read(root: &mut Table<'_>, variables: &ProxyVariables) -> Option<Egress> {
    root.table("egress", |table| {
        let way: Option<Way> = table.described("proxy", "HTTPS_PROXY of the environment");
        let login = login(table);
        for name in ["username", "password_file"] {
            if table.has(name) && !matches!(way, Some(Way::Proxy(_))) && !(way.is_none() && table.has("proxy")) {
                table.problem(name, "has no effect, because no proxy is set here", "set egress.proxy, or leave it out");
            }
        }
        match way {
            Some(Way::Direct) => Some(Egress::default()),
            Some(Way::Proxy(address)) => {
                let proxy = Proxy { address, login: login?, named_by: "egress.proxy".to_owned() };
                Some(Egress { proxy: Some(proxy), except: NoProxy::default() })
            }
            None if table.has("proxy") => None,
            None => shared(table, variables),
        }
    })
}

/// What the environment says.
fn shared(table: &Table<'_>, variables: &ProxyVariables) -> Option<Egress> {
    let Some((name, text)) = &variables.proxy else { return Some(Egress::default()) };
    let place = Place::Variable { name: (*name).to_owned() };
    let SharedWay { address, login } = table.value_from("proxy", text, place)?;
    let except = NoProxy::parse(variables.except.as_deref().unwrap_or_default());
    Some(Egress { proxy: Some(Proxy { address, login, named_by: (*name).to_owned() }), except })
}

/// None: it is wrong; the inner none: there is none.
fn login(table: &mut Table<'_>) -> Option<Option<Login>> {
    let username: Option<String> = table.optional("username");
    let path: Option<PathBuf> = table.optional("password_file");
    for (has, lacks) in [("username", "password_file"), ("password_file", "username")] {
        if table.has(has) && !table.has(lacks) {
            table.problem(has, format!("stands without {lacks}"), "write both, or neither");
        }
    }
    if !table.has("username") && !table.has("password_file") {
        return Some(None);
    }
    let (username, path) = (username?, path?);
    if !is_username(&username) {
        table.problem("username", "holds a colon, which no basic login can carry", "use a login without one");
        return None;
    }
    match password(&path) {
        Ok(password) => Some(Some(Login::new(username, password))),
        Err(fault) => {
            table.fault("password_file", fault);
            None
        }
    }
}

/// The one line of a file that nobody but its owner may read.
fn password(path: &Path) -> Result<String, Fault> {
    let shown = path.display();
    let unreadable = |error| Fault::new(format!("{shown}: cannot be read: {error}"), "check path and permissions");
    only_the_owner(path).map_err(unreadable)??;
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limits::PASSWORD_FILE as u64 + 1).read_to_string(&mut text).map_err(unreadable)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if text.len() > limits::PASSWORD_FILE || line.is_empty() || line.chars().any(char::is_control) {
        let instead = "write the password into it as its only line";
        return Err(Fault::new(format!("{shown}: does not hold a password"), instead));
    }
    Ok(line.to_owned())
}

/// As strict as with private keys.
#[cfg(unix)]
fn only_the_owner(path: &Path) -> std::io::Result<Result<(), Fault>> {
    use std::os::unix::fs::PermissionsExt;
    /// Read or write by group or others.
    const OTHERS: u32 = 0o066;
    let (mode, shown) = (fs::metadata(path)?.permissions().mode() & 0o7777, path.display());
    let message = format!("{shown}: the password can be read by others (mode {mode:04o})");
    Ok(if mode & OTHERS == 0 { Ok(()) } else { Err(Fault::new(message, format!("run: chmod 600 {shown}"))) })
}

#[cfg(not(unix))]
fn only_the_owner(path: &Path) -> std::io::Result<Result<(), Fault>> {
    fs::metadata(path).map(|_| Ok(()))
}
