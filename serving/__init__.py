"""Everything that touches a network, a disk of records or a clock."""
