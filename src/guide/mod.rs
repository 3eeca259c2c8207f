// The pages of the guide. The same files are readable in the repository, where links lead to other files: `links.txt`
// comes first here, and the first definition of a link counts.

macro_rules! pages {
    ($($name:ident = $file:literal;)*) => {
        $(
            #[doc = include_str!("links.txt")]
            #[doc = ""]
            #[doc = include_str!($file)]
            pub mod $name {}
        )*
    };
}

pages! {
    getting_started = "getting_started.md";
    keys = "keys.md";
    values = "values.md";
    entries = "entries.md";
    stampedes = "stampedes.md";
    batches_groups_tags = "batches_groups_tags.md";
    old_values = "old_values.md";
    local_tier = "local_tier.md";
    web = "web.md";
    servers = "servers.md";
    outages = "outages.md";
    observing = "observing.md";
    command_line = "command_line.md";
    testing = "testing.md";
    costs = "costs.md";
    limits = "limits.md";
    migrating = "migrating.md";
    glossary = "glossary.md";
}
