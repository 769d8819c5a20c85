"""The torture: the real system under traffic, hostile messages and kills, and then every record accounted for."""
