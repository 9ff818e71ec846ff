#include "libcommon/dns/serial.h"
#include <time.h>

bool zone_serial_above(uint32_t a, uint32_t b)
{
	uint32_t d = a - b;
	return d && d < 0x80000000u;
}

static bool is_date(uint32_t serial)
{
	uint32_t day = serial / 100 % 100, month = serial / 10000 % 100, year = serial / 1000000;
	return year >= 1980 && year < 2200 && month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

uint32_t zone_serial_next(uint32_t serial, uint64_t now_ms)
{
	time_t now = (time_t)(now_ms / 1000);
	struct tm tm;
	uint32_t next = serial + 1;
	if (is_date(serial) && gmtime_r(&now, &tm)) {
		uint32_t today = ((uint32_t)(tm.tm_year + 1900) * 10000 +
				  (uint32_t)(tm.tm_mon + 1) * 100 + (uint32_t)tm.tm_mday) *
				 100;
		if (zone_serial_above(today, serial))
			next = today;
	}
	return next ? next : 1;
}

uint32_t zone_serial_lost(uint32_t serial, uint64_t now_ms)
{
	enum { DAY_MS = 86400000, FAR = 1 << 16 };
	uint32_t now = (uint32_t)(now_ms / 1000);
	if (is_date(serial)) /* fewer than a hundred changes a day */
		return zone_serial_next(serial, now_ms + DAY_MS);
	return zone_serial_above(now, serial) ? now : zone_serial_next(serial + FAR, now_ms);
}
