// SwiftPM wants one source file in a C target; all of it is inline in CLinux.h.
#include "CLinux.h"
