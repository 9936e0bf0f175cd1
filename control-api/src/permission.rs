//! Who may do what: one table, and nothing else that decides. Reads no clock and no database.
//!
//! A permission is given by the role of who asks, everywhere; or by the role in one channel, there.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a user is to the whole server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May do everything.
    Admin,
    /// May make channels of their own.
    Creator,
    /// Keeps order on all channels.
    Moderator,
    /// Watches.
    Viewer,
    /// No user's: an API token that sees what runs.
    Read,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Admin, Self::Creator, Self::Moderator, Self::Viewer, Self::Read];
    /// Those that a user may have.
    pub const OF_USERS: [Self; 4] = [Self::Admin, Self::Creator, Self::Moderator, Self::Viewer];

    /// The word used in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Creator => "creator",
            Self::Moderator => "moderator",
            Self::Viewer => "viewer",
            Self::Read => "read",
        }
    }

    /// The role of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// What a user is to one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelRole {
    /// May do everything with it.
    Owner,
    /// Publishes to it and keeps its settings.
    Editor,
    /// Keeps order on it.
    Moderator,
}

impl ChannelRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Owner, Self::Editor, Self::Moderator];

    /// The word used in the API and the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Editor => "editor",
            Self::Moderator => "moderator",
        }
    }

    /// The role of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

/// One thing that somebody may be allowed to do. A new one is a variant here and a row in [`TABLE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Make channels, which one then owns.
    ChannelCreate,
    /// See how publishers came in and how broadcasts ended.
    ChannelInspect,
    /// Change settings and slate.
    ChannelUpdate,
    /// Delete a channel.
    ChannelDelete,
    /// Publish from the studio.
    ChannelPublish,
    /// List stream keys, without their secrets.
    KeyRead,
    /// Make, rotate and revoke stream keys.
    KeyWrite,
    /// End a running broadcast.
    BroadcastEnd,
    /// List the members of a channel.
    MemberRead,
    /// Add and remove the members of a channel.
    MemberWrite,
    /// List and see users.
    UserRead,
    /// Make, change and delete users.
    UserWrite,
    /// Change one's own profile.
    ProfileWrite,
    /// Make, list and revoke one's own API tokens.
    TokenOwn,
    /// List and revoke everybody's API tokens.
    TokenAll,
    /// Read what was done.
    AuditRead,
    /// List the users who were let in to a channel that is for members.
    ViewerRead,
    /// Let users in to a channel that is for members, and take that back.
    ViewerGrant,
    /// End a viewer session.
    ViewerPutOut,
}

/// One permission, and who has it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Which.
    pub permission: Permission,
    /// Its word, which scopes of API tokens name too.
    pub word: &'static str,
    /// What it allows, for people.
    pub allows: &'static str,
    /// The roles that have it everywhere.
    pub roles: &'static [Role],
    /// The roles in a channel that have it there.
    pub channel_roles: &'static [ChannelRole],
}

const ADMIN: &[Role] = &[Role::Admin];
const ORDER: &[Role] = &[Role::Admin, Role::Moderator];
const USERS: &[Role] = &Role::OF_USERS;
const NOBODY: &[ChannelRole] = &[];
const OWNER: &[ChannelRole] = &[ChannelRole::Owner];
const CREW: &[ChannelRole] = &[ChannelRole::Owner, ChannelRole::Editor];
const MEMBERS: &[ChannelRole] = &ChannelRole::ALL;

const fn row(
    permission: Permission,
    word: &'static str,
    allows: &'static str,
    roles: &'static [Role],
    channel_roles: &'static [ChannelRole],
) -> Row {
    Row { permission, word, allows, roles, channel_roles }
}

/// The table, in the order of the permissions.
pub const TABLE: &[Row] = &[
    row(Permission::ChannelCreate, "channel.create", "make channels", &[Role::Admin, Role::Creator], NOBODY),
    row(
        Permission::ChannelInspect,
        "channel.inspect",
        "see how publishers came in and how broadcasts ended",
        &[Role::Admin, Role::Moderator, Role::Read],
        MEMBERS,
    ),
    row(Permission::ChannelUpdate, "channel.update", "see and change settings and slate", ADMIN, CREW),
    row(Permission::ChannelDelete, "channel.delete", "delete the channel", ADMIN, OWNER),
    row(Permission::ChannelPublish, "channel.publish", "publish from the studio", ADMIN, CREW),
    row(Permission::KeyRead, "key.read", "list stream keys", ADMIN, CREW),
    row(Permission::KeyWrite, "key.write", "make, rotate and revoke stream keys", ADMIN, CREW),
    row(Permission::BroadcastEnd, "broadcast.end", "end a running broadcast", ORDER, MEMBERS),
    row(Permission::MemberRead, "member.read", "list the channel's members", ORDER, MEMBERS),
    row(Permission::MemberWrite, "member.write", "add, change and remove members", ADMIN, OWNER),
    row(Permission::UserRead, "user.read", "list and see users", ORDER, NOBODY),
    row(Permission::UserWrite, "user.write", "make, change and delete users", ADMIN, NOBODY),
    row(Permission::ProfileWrite, "profile.write", "change one's own profile", USERS, NOBODY),
    row(Permission::TokenOwn, "token.own", "make, list and revoke one's own API tokens", USERS, NOBODY),
    row(Permission::TokenAll, "token.all", "list and revoke everybody's API tokens", ADMIN, NOBODY),
    row(Permission::AuditRead, "audit.read", "read what was done", ADMIN, OWNER),
    row(Permission::ViewerRead, "viewer.read", "list who was let in to watch", ORDER, MEMBERS),
    row(Permission::ViewerGrant, "viewer.grant", "let users in to watch, and take that back", ADMIN, OWNER),
    row(Permission::ViewerPutOut, "viewer.put_out", "put out a viewer", ORDER, MEMBERS),
];

// A permission finds its row by its number.
const _: () = {
    let mut at = 0;
    while at < TABLE.len() {
        assert!(TABLE[at].permission as usize == at, "the table is in the order of the permissions");
        at += 1;
    }
    assert!(Permission::ViewerPutOut as usize + 1 == TABLE.len(), "every permission has a row");
};

impl Permission {
    /// Its row in the table.
    #[must_use]
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().word
    }

    /// The permission of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.word == word).map(|row| row.permission)
    }

    /// Whether `role` has it everywhere.
    #[must_use]
    pub fn is_of(self, role: Role) -> bool {
        self.row().roles.contains(&role)
    }

    /// Whether `role` in a channel has it there.
    #[must_use]
    pub fn is_of_member(self, role: ChannelRole) -> bool {
        self.row().channel_roles.contains(&role)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The permissions to which an API token is narrowed. It never widens what its holder may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<Permission>);

impl Scopes {
    /// As they stand in the database; words of another program grant nothing.
    #[must_use]
    pub fn of(words: &[String]) -> Self {
        Self(words.iter().filter_map(|word| Permission::of(word)).collect())
    }

    /// Their words.
    pub fn words(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.0.iter().map(|permission| permission.as_str())
    }

    /// Whether it is among them.
    #[must_use]
    pub fn hold(&self, permission: Permission) -> bool {
        self.0.contains(&permission)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_admin_has_every_permission_and_an_owner_every_one_of_a_channel() {
        for row in TABLE {
            assert!(row.permission.is_of(Role::Admin), "{}", row.word);
            let of_channel = !row.channel_roles.is_empty();
            assert_eq!(row.permission.is_of_member(ChannelRole::Owner), of_channel, "{}", row.word);
        }
    }

    #[test]
    fn words_differ_and_lead_back() {
        let words: BTreeSet<_> = TABLE.iter().map(|row| row.word).collect();
        assert_eq!(words.len(), TABLE.len());
        for row in TABLE {
            assert_eq!(Permission::of(row.word), Some(row.permission));
        }
        assert_eq!(Permission::of("channel"), None);
        assert!(Role::ALL.into_iter().all(|role| Role::of(role.as_str()) == Some(role)));
        assert!(ChannelRole::ALL.into_iter().all(|role| ChannelRole::of(role.as_str()) == Some(role)));
    }

    #[test]
    fn words_that_are_not_known_grant_nothing() {
        let scopes = Scopes::of(&["key.read".to_owned(), "everything".to_owned(), String::new()]);
        assert!(scopes.hold(Permission::KeyRead));
        assert_eq!(scopes, Scopes(vec![Permission::KeyRead]));
        assert!(!Scopes::of(&[]).hold(Permission::KeyRead));
    }
}
