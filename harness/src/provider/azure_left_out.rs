//! What stands in for the Azure binding in a program that was built without it: it says so.

use std::sync::Arc;

use super::{Attached, Need, Permissions, Planned, Provider, ProviderError};
use crate::{
    drill,
    environment::{AzureResource, Binding, Environment},
    journal::Access,
};

const LEFT_OUT: ProviderError = ProviderError::NotBuiltIn {
    binding: Binding::Azure,
};

pub(super) fn planned(_: &AzureResource, _: &drill::Fault) -> Result<Planned, ProviderError> {
    Err(LEFT_OUT)
}

pub(super) fn attach(_: &Environment) -> Result<Attached, ProviderError> {
    Err(LEFT_OUT)
}

pub(super) fn reach(_: &[Access]) -> Result<Arc<dyn Provider>, ProviderError> {
    Err(LEFT_OUT)
}

pub(super) fn needs(_: &Environment) -> Vec<Need> {
    vec![here()]
}

pub(super) fn here() -> Need {
    Need {
        binding: Binding::Azure,
        system: "not in this program".to_owned(),
        missing: vec![LEFT_OUT.to_string()],
    }
}

pub(super) fn permissions(
    _: &Environment,
    _: &[&drill::Fault],
) -> Result<Vec<Permissions>, ProviderError> {
    Err(LEFT_OUT)
}
