//! Fields that the design names and that do nothing yet: known to the schema, refused by name.

mainspring_resource::not_built! {
    Notify, "notify", "messages to people; declare an AlertChannel with on: [rollout]";
}
