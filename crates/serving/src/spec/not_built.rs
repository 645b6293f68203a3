//! Fields that the design names and that do nothing yet: known to the schema, refused by name.

mainspring_resource::not_built! {
    Features, "features", "features looked up by entity key";
    Scale, "scale", "scaling by load and idle unload";
    Variants, "variants", "several variants with weights; declare a Rollout";
}
