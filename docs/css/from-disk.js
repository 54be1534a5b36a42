// A page that was opened from a disk may not read the search index: no button is better than one that does nothing.
if (location.protocol === "file:")
  document.querySelectorAll('[data-bs-target="#mkdocs_search_modal"]').forEach((button) => (button.hidden = true));
