"""The migrations of the case store, in `versions`; `page.store.database` runs them."""
