//! ARNs.

/// What table names are behind in ARNs.
pub(super) const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/";
