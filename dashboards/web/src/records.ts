// Registers: the list, one record, the form. Each page holds one of them.

import { page } from "./register/common";
import { recordPage } from "./register/detail";
import { formPage } from "./register/form";
import { listPage } from "./register/list";

if (document.getElementById("records-list")) listPage();
else if (document.getElementById("record-form")) void formPage();
else if (page.id) void recordPage(page.id);
