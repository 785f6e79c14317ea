// Placeholder, replaced by the owner of this room.
