// What every page needs.

import * as alerts from "./alerts.js";
import * as ask from "./ask.js";
import * as confirm from "./confirm.js";
import * as dock from "./dock.js";
import * as keys from "./keys.js";
import * as live from "./live.js";
import * as modal from "./modal.js";
import * as operations from "./operations.js";
import * as print from "./print.js";
import * as ringing from "./ringing.js";
import * as still from "./still.js";
import * as times from "./times.js";

times.start();
modal.start();
confirm.start();
ask.start();
dock.start();
operations.start();
keys.start();
still.start();
print.start();
alerts.start();
ringing.start();
live.start();
