// SPDX-License-Identifier: GPL-2.0
/* JSON output, see json.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "json.h"
#include "msrguard.h"

static void add(struct json_object *object, const char *key, struct json_object *value)
{
	if (json_object_object_add(object, key, value))
		mg_alloc_check(NULL);
}

struct json_object *mg_json_object(void)
{
	return mg_alloc_check(json_object_new_object());
}

struct json_object *mg_json_array(struct json_object *object, const char *key)
{
	struct json_object *array = mg_alloc_check(json_object_new_array());

	add(object, key, array);
	return array;
}

struct json_object *mg_json_sub(struct json_object *object, const char *key)
{
	struct json_object *sub = mg_json_object();

	add(object, key, sub);
	return sub;
}

struct json_object *mg_json_append(struct json_object *array)
{
	struct json_object *object = mg_json_object();

	if (json_object_array_add(array, object))
		mg_alloc_check(NULL);
	return object;
}

/* json-c escapes what JSON demands, but would pass on bytes that are not UTF-8. */
void mg_json_string(struct json_object *object, const char *key, const char *value)
{
	char *ascii, *to;

	if (!value) {
		mg_json_null(object, key);
		return;
	}
	ascii = mg_alloc_check(malloc(strlen(value) * strlen("\\xNN") + 1));
	to = ascii;
	for (; *value; value++) {
		if ((unsigned char)*value < 0x80)
			*to++ = *value;
		else
			to += sprintf(to, "\\x%02x", (unsigned char)*value);
	}
	*to = '\0';
	add(object, key, mg_alloc_check(json_object_new_string(ascii)));
	free(ascii);
}

void mg_json_hex(struct json_object *object, const char *key, uint64_t value)
{
	char text[sizeof("0xffffffffffffffff")];

	snprintf(text, sizeof(text), "0x%" PRIx64, value);
	add(object, key, mg_alloc_check(json_object_new_string(text)));
}

void mg_json_u32(struct json_object *object, const char *key, uint32_t value)
{
	add(object, key, mg_alloc_check(json_object_new_int64(value)));
}

void mg_json_bool(struct json_object *object, const char *key, bool value)
{
	add(object, key, mg_alloc_check(json_object_new_boolean(value)));
}

void mg_json_null(struct json_object *object, const char *key)
{
	add(object, key, NULL);
}

void mg_json_print(struct json_object *object, bool one_line)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	flags |= one_line ? JSON_C_TO_STRING_PLAIN :
			    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
	puts(mg_alloc_check((void *)json_object_to_json_string_ext(object, flags)));
	json_object_put(object);
}
