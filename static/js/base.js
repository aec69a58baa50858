// What every page needs.

import * as live from "./live.js";
import * as times from "./times.js";

times.start();
live.start();
