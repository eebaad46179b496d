//! Addresses in columns, stored as their keys.

use sqlx::any::{AnyTypeInfo, AnyValueRef};
use sqlx::error::BoxDynError;
use sqlx::{Any, Decode, Type};

use crate::identity::address::Address;

impl Type<Any> for Address {
    fn type_info() -> AnyTypeInfo {
        <String as Type<Any>>::type_info()
    }
}

impl<'r> Decode<'r, Any> for Address {
    fn decode(value: AnyValueRef<'r>) -> Result<Self, BoxDynError> {
        let key = <String as Decode<Any>>::decode(value)?;
        Ok(Self::try_from(key)?)
    }
}
