//! Fields that the design names and that do nothing yet: known to the schema, refused by name.

mainspring_resource::not_built! {
    Psi, "psi", "a shift of a whole distribution; maxShift watches the mean";
    Notify, "notify", "messages to people; declare an AlertChannel with on: [rollout]";
}
