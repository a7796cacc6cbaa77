"""The tables of a gallery file (drawn in ``docs/gallery.md``)."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

from faceset.gallery.pg_vector import PgVector

APPLICATION_ID = 0x46534554
"""``FSET``: bytes 68-71 of the file say that it is a gallery."""
SCHEMA_VERSION = 2

metadata = MetaData()

meta = Table(
    "meta",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True),
    Column("schema_version", Integer, nullable=False),
    Column("created", Text, nullable=False),
    # Bumped by every write; what is held in memory is of one generation.
    Column("generation", Integer, nullable=False),
    # Generation of the last write after which memory must be filled anew: somebody was forgotten or renamed.
    Column("reset_generation", Integer, nullable=False),
    # 1 from a removal until the removed bytes are gone from the files.
    Column("purge", Integer, nullable=False),
    # Embedder and feature width; NULL while the gallery is empty.
    Column("model_id", Text),
    Column("width", Integer),
    # Proves the key the vectors are encrypted with (see faceset.gallery.sealing); NULL: they are not encrypted.
    Column("key_check", LargeBinary),
)

person = Table(
    "person",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created", Text, nullable=False),
    Column("updated", Text, nullable=False),
    Column("uid", Text, nullable=False),
    sqlite_autoincrement=True,  # ids only grow, so that new people come last in the index
)

template = Table(
    "template",
    metadata,
    Column("person_id", ForeignKey("person.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", Integer, nullable=False, index=True),
    Column("aggregator", Text, nullable=False),
    Column("consistency", Float, nullable=False),
    # D x float32, little-endian, unit length
    Column("vector", LargeBinary().with_variant(PgVector(), "postgresql"), nullable=False),
    Column("weights", LargeBinary, nullable=False),  # N x float32, little-endian, canonical order of faces
)

medium = Table(
    "medium",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("person_id", ForeignKey("person.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("digest", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("faces", Integer, nullable=False),
    Column("added", Text, nullable=False),
    Column("uid", Text, nullable=False),
)
Index("person_uid", person.c.uid, unique=True)
Index("medium_uid", medium.c.uid, unique=True)
Index(
    "medium_digest",
    medium.c.digest,
    unique=True,  # a file is enrolled once; a live stream has no digest and may come again
    sqlite_where=medium.c.digest != "",
    postgresql_where=medium.c.digest != "",
)

face = Table(
    "face",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("medium_id", ForeignKey("medium.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("track", Integer, nullable=False),
    Column("shot", Integer, nullable=False),
    Column("frame", Integer, nullable=False),
    Column("time", Float, nullable=False),
    Column("x0", Float, nullable=False),
    Column("y0", Float, nullable=False),
    Column("x1", Float, nullable=False),
    Column("y1", Float, nullable=False),
    Column("score", Float, nullable=False),
    Column("scheme", Text),
    Column("landmarks", LargeBinary),  # P x 2 float32, little-endian
    Column("norm", Float, nullable=False),
    Column("feature", LargeBinary, nullable=False),  # D x float32, little-endian, raw
    Column("crop", LargeBinary),  # PNG; NULL unless crops are kept
)
