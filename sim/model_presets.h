/* sim/model_presets.h - the machine files of sim/machines, compiled in (cmake/presets.cmake) */
#ifndef MMSIM_SIM_MODEL_PRESETS_H
#define MMSIM_SIM_MODEL_PRESETS_H

struct machine_preset {
	const char *name, *text;
};
extern const struct machine_preset machine_presets[]; /* ends with a NULL name */
extern const char *const machine_preset_names[];      /* ends with NULL */

#endif
