"""A config served in another size: batches, instances, queue delay, threads, and what follows."""

from dataclasses import replace

from tidegate.core.model_config.backends import threads_key
from tidegate.core.model_config.instances import ModelInstanceGroup
from tidegate.core.model_config.scheduling import ModelDynamicBatching
from tidegate.core.model_config.whole import ModelConfig, ModelParameter, ModelWarmup
from tidegate.documents import Setting


def resized(config: ModelConfig, setting: Setting) -> ModelConfig:
    """The same model with this setting; everything that was written besides stays.

    No response cache: its answers are no evidence of the model's speed. Warm-ups and preferred sizes of
    more rows than a batch may have would be refused.
    """
    groups = config.instance_group or (ModelInstanceGroup(),)  # none written: Triton makes one, too
    return replace(
        config,
        max_batch_size=setting.max_batch_size,
        instance_group=tuple(replace(group, count=setting.instances) for group in groups),
        dynamic_batching=_batching(config, setting),
        parameters=_parameters(config, setting),
        model_warmup=_warmup(config, setting),
        response_cache=None,
    )


def setting_of(config: ModelConfig) -> Setting:
    """How a config is served as it stands."""
    threads = config.parameters.get(threads_key(config.backend, config.platform))
    delay = config.dynamic_batching.max_queue_delay_microseconds if config.dynamic_batching else 0
    return Setting(
        max_batch_size=config.max_batch_size,
        instances=max((group.count for group in config.instance_group), default=0) or 1,
        queue_delay_us=delay,
        threads=int(threads.string_value) if threads and threads.string_value.isdecimal() else 1,
    )


def _batching(config: ModelConfig, setting: Setting) -> ModelDynamicBatching | None:
    if not setting.max_batch_size:
        return None
    batching = config.dynamic_batching or ModelDynamicBatching()
    sizes = batching.preferred_batch_size
    return replace(
        batching,
        max_queue_delay_microseconds=setting.queue_delay_us,
        preferred_batch_size=tuple(size for size in sizes if size <= setting.max_batch_size),
    )


def _parameters(config: ModelConfig, setting: Setting) -> dict[str, ModelParameter]:
    name = threads_key(config.backend, config.platform)
    said = {name: ModelParameter(string_value=str(setting.threads))} if name else {}
    return {**config.parameters, **said}


def _warmup(config: ModelConfig, setting: Setting) -> tuple[ModelWarmup, ...]:
    """A full batch stays a full one."""
    largest = setting.max_batch_size
    kept = []
    for one in config.model_warmup:
        full = config.max_batch_size and one.batch_size == config.max_batch_size
        size = largest if full else min(one.batch_size, largest or one.batch_size)
        kept.append(replace(one, batch_size=size))
    return tuple(kept)
