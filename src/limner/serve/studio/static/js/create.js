// The Create page. Each module starts itself.
import "./create/prompt.js";
import "./create/settings.js";
import "./create/drop.js";
import "./feed/stage.js";
import "./feed/current.js";
import "./feed/progress.js";
import "./feed/elsewhere.js";
