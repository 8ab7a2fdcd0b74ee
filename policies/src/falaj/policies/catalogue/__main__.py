"""Writes the catalogue's pages: ``python -m falaj.policies.catalogue --write``."""

from falaj.policies.catalogue.pages import main

if __name__ == "__main__":
    main()
