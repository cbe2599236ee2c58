// Gives names, which screen readers say, to what the theme leaves without one: the dialog of the search, and the bars with
// buttons on blocks of code, which come when a block is first seen.
document.querySelector(".md-search").setAttribute("aria-label", "Search");
let bars = 0;
new MutationObserver(() => {
  for (const bar of document.querySelectorAll("nav.md-code__nav:not([aria-label])")) bar.ariaLabel = `Code ${++bars}`;
}).observe(document.querySelector("main"), { childList: true, subtree: true });
