//! `memory://`.

use super::{Target, refuse};
use crate::error::Error;

const DEFAULT_MB: u64 = 64;

pub(super) fn parse(url: &str, rest: &str) -> Result<Target, Error> {
    let advice = "write memory:// or memory://?max_mb=64";
    let parameters = rest.strip_prefix('?').into_iter().flat_map(|query| query.split('&'));
    let unknown = parameters.filter_map(|pair| pair.split_once('=')).find(|(name, _)| *name != "max_mb");
    if let Some((name, _)) = unknown {
        return Err(refuse(url, format_args!("the parameter `{name}` is not known; {advice}")));
    }
    let megabytes = match rest {
        "" => Some(DEFAULT_MB),
        _ => rest.strip_prefix("?max_mb=").and_then(|number| number.parse().ok()).filter(|mb| *mb > 0),
    };
    let bytes = megabytes.and_then(|mb: u64| mb.checked_mul(1 << 20));
    bytes.map(|max_bytes| Target::Memory { max_bytes }).ok_or_else(|| refuse(url, format_args!("{advice}")))
}
