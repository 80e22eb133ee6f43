"""Exchange of arrays with other libraries."""
