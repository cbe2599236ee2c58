// Gives names, which screen readers say, to what the theme leaves without one: the dialog of the search, menus whose label
// is an icon, and the bars with buttons on blocks of code, which come when a block is first seen.
document.querySelector(".md-search").setAttribute("aria-label", "Search");
for (const menu of document.querySelectorAll(".md-nav[aria-labelledby]")) {
  menu.ariaLabel = menu.querySelector(".md-nav__title").textContent.trim();
  menu.removeAttribute("aria-labelledby");
}
let bars = 0;
new MutationObserver(() => {
  for (const bar of document.querySelectorAll("nav.md-code__nav:not([aria-label])")) bar.ariaLabel = `Code ${++bars}`;
}).observe(document.querySelector("main"), { childList: true, subtree: true });
