"""The setting SEARCH_LANGUAGE, compared with what PostgreSQL has indexed."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from api.config.settings import ConfigurationError
from api.log import logger
from migrations.errors import MigrationError
from migrations.search_language import language_differs


async def verify(engine: AsyncEngine, language: str) -> None:
    """Log where search is indexed in another language. Raises ConfigurationError for one that PostgreSQL lacks."""
    try:
        async with engine.connect() as connection:
            differs = await connection.run_sync(language_differs, language)
    except MigrationError as error:
        raise ConfigurationError(str(error)) from error
    if differs:
        logger.warning("search is indexed in another language", wanted=language, remedy="fashion-wallet search rebuild")
