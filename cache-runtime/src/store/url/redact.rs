//! URLs in messages. A user without a password may be one: the `:` in front of it is easily forgotten.

use super::hosts::Written;

/// The URL without its password. A malformed URL has no reliable parts, so only its scheme is shown.
pub(super) fn without_password(url: &str) -> String {
    if let Some(written) = Written::of(url).filter(Written::has_many_hosts) {
        return of_many(&written).unwrap_or_else(|| scheme_alone(url));
    }
    // An `@` in the path is the end of a password that holds a `/`.
    let Some(mut parts) = redis::parse_redis_url(url).filter(|parts| !parts.path().contains('@')) else {
        return scheme_alone(url);
    };
    let hidden = match (parts.username(), parts.password()) {
        (_, Some(_)) => parts.set_password(Some("***")),
        ("", None) => Ok(()),
        (_, None) => parts.set_username("***"),
    };
    if hidden.is_err() {
        return scheme_alone(url);
    }
    if parts.query().is_some_and(|query| !is_harmless(query)) {
        parts.set_query(Some("***"));
    }
    if parts.fragment().is_some() {
        parts.set_fragment(Some("***"));
    }
    parts.to_string()
}

/// The same for a URL with several hosts. `None` means that it is malformed.
fn of_many(written: &Written<'_>) -> Option<String> {
    let Written { scheme, login, hosts, path, query, fragment } = *written;
    let is_plausible =
        written.addresses().all(|address| address.is_ok()) && path.is_none_or(|path| !path.contains('@'));
    if !is_plausible || login.is_some_and(|login| login.contains(',')) {
        return None;
    }
    let login = match login.map(|login| login.split_once(':').map_or((login, false), |(user, _)| (user, true))) {
        None => String::new(),
        Some((_, false)) => "***@".to_owned(),
        Some((user, true)) => format!("{user}:***@"),
    };
    let path = path.map_or(String::new(), |path| format!("/{path}"));
    let query = query.map_or(String::new(), |query| format!("?{}", if is_harmless(query) { query } else { "***" }));
    let fragment = fragment.map_or("", |_| "#***");
    Some(format!("{scheme}://{login}{hosts}{path}{query}{fragment}"))
}

fn scheme_alone(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
            format!("{scheme}://…")
        }
        _ => "…".to_owned(),
    }
}

/// Returns true if all parameters of a URL may be shown.
fn is_harmless(query: &str) -> bool {
    query.split('&').all(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        ["db", "protocol", "user", "sentinel_user"].contains(&name) && !value.contains('@')
    })
}
