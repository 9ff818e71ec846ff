/* fatal: leave with a line and an exit code of sysexits.h. Only start-up code may call it. */
#ifndef BASE_FATAL_H
#define BASE_FATAL_H
_Noreturn void fatal(int code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#endif
