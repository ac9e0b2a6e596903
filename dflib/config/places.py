"""Sections about where tables, models and pages are, and how they are reached."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from dflib.config.section import Section, Uri


class TablesConfig(Section):
    """Where the tables are, and the metastore that holds their names."""

    root: Uri
    """Folder of the Delta tables, each in ``<root>/<table>``."""
    database: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
    """Database of the metastore in which the tables are registered; a second ``root`` needs another."""
    metastore: Literal["embedded", "postgres", "external", "none"]
    """embedded: Derby below ``root``, for one session at a time; postgres: ``metastore_at``, for a team; external: set
    in the Spark properties (conf/spark/metastores.conf); none: no names are registered."""
    metastore_at: (
        Annotated[
            str, Field(pattern=r"^[A-Za-z0-9_.-]+@[A-Za-z0-9_.-]+(:\d{1,5})?/[A-Za-z0-9_-]+(\?[A-Za-z0-9_=&/.-]+)?$")
        ]
        | None
    )
    """postgres: user@host:port/database, and options of the JDBC driver after a question mark (``?sslmode=require``).
    The password is in the variable DFLIB_METASTORE_PASSWORD, never here."""

    @model_validator(mode="after")
    def _agrees(self) -> "TablesConfig":
        if self.metastore == "postgres" and self.metastore_at is None:
            raise ValueError("metastore=postgres needs metastore_at=user@host:port/database")
        return self


class SqlConfig(Section):
    """The address of ``dflib thrift``. It asks for no password: whoever reaches it has all rights of its user."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]+$")]
    """Address to listen on; 127.0.0.1: this machine only."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """Port to listen on."""


class LocationConfig(Section):
    """Where the files of a kind are."""

    root: Uri
    """Folder of the files, on storage that all machines reach."""
