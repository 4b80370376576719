//! ARNs.

/// The text before the table's name in an ARN.
pub(super) const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/";
