// Of every page: what htmx does not do. Each module starts itself.
import "./live.js";
import "./keys.js";
import "./dialog.js";
import "./troubles.js";
import "./theme.js";
import "./ratings.js";
