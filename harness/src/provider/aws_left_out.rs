//! What stands in for the AWS binding in a program that was built without it: it says so.

use std::{future::ready, sync::Arc};

use super::{Attached, Need, Permissions, Planned, Provider, ProviderError};
use crate::{
    drill,
    environment::{AwsResource, Binding, Environment},
    journal::Access,
};

const LEFT_OUT: ProviderError = ProviderError::NotBuiltIn {
    binding: Binding::Aws,
};

pub(super) fn planned(_: &AwsResource, _: &drill::Fault) -> Result<Planned, ProviderError> {
    Err(LEFT_OUT)
}

pub(super) fn attach(_: &Environment) -> impl Future<Output = Result<Attached, ProviderError>> {
    ready(Err(LEFT_OUT))
}

pub(super) fn reach(
    _: &[Access],
) -> impl Future<Output = Result<Arc<dyn Provider>, ProviderError>> {
    ready(Err(LEFT_OUT))
}

pub(super) fn needs(_: &Environment) -> Vec<Need> {
    vec![here()]
}

pub(super) fn here() -> Need {
    Need {
        binding: Binding::Aws,
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
