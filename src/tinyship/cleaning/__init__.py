"""Which images, tags and cache a clean may remove, as pure rules over facts that others gather."""
