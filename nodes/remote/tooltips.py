"""The help of each widget, in plain words. Where a provider's meaning is disputed, its own words are quoted."""

WORDS = {
    "prompt": "What the result should show.",
    "negative_prompt": "What it should not show. Has no effect where the guidance is 1 or less.",
    "num_frames": "How many frames are generated, before any interpolation.",
    "frames_per_second": "Frames a second of the generated frames, before any interpolation.",
    "seed": "The same seed repeats a result, and another one makes a new job, which is paid. -1: not sent, the "
    "provider draws one. Control after generate is fixed at first: with randomize, every run is paid.",
    "resolution": "How many pixels. The price depends on it.",
    "aspect_ratio": "Width to height. auto: that of the image or video.",
    "num_inference_steps": "Sampling steps: more is slower, and often better.",
    "enable_safety_checker": "The provider checks what goes in. Always sent, on or off.",
    "enable_output_safety_checker": "The provider checks the finished video. Always sent, on or off.",
    "enable_prompt_expansion": "A language model writes more into the prompt. The seed alone then doesn't repeat a "
    "result.",
    "acceleration": "How far the provider may cut corners to be faster.",
    "guidance_scale": "How closely the prompt is followed: in the high-noise stage, or in all of it.",
    "guidance_scale_2": "How closely the prompt is followed in the low-noise stage.",
    "shift": "Moves the steps towards high noise: more for movement and layout, less for detail.",
    "interpolator_model": "What makes the frames between the generated ones.",
    "num_interpolated_frames": "New frames in each gap.",
    "adjust_fps_for_interpolation": "Raise the frames a second with the interpolated frames, so that the duration "
    "stays. off: slow motion.",
    "video_quality": "How strongly the file is compressed.",
    "video_write_mode": "fast writes quickly, small takes longer for a smaller file.",
    "reverse_video": "The video from its end to its start.",
    "strength": "How far the result may leave the input: 0 keeps it, 1 ignores it.",
    "resample_fps": "Bring the input video to frames_per_second first.",
    "image_size": "A named size; or set width and height in its place.",
    "width": "In pixels, together with height, in place of a named size.",
    "height": "In pixels, together with width, in place of a named size.",
    "image_format": "The format of the image file.",
    "return_frames_zip": "The frames come as a ZIP too, into the folder of the results; info names the file.",
    "use_turbo": "Fewer steps with settings of the provider's own.",
    "output_format": "The container of the video file.",
    "output_quality": "How little the file is compressed.",
    "check_content": "The provider checks prompt and result, and flags what it finds. Always sent, on or off.",
    "safety_mode": "How thoroughly the content is checked. With check_content on and no mode it is fast.",
    "number_results": "How many videos, each with a seed of its own. Each one is paid.",
    "cache_start_step": "The first step at which a cache may reuse. Not together with the percentage.",
    "cache_start_step_percentage": "The first step at which a cache may reuse, in percent of all steps.",
    "cache_end_step": "The last step at which a cache may reuse; after the first one, and not above steps.",
    "cache_end_step_percentage": "The last step at which a cache may reuse, in percent of all steps.",
    "cache_max_consecutive_steps": "How many steps in a row may be reused.",
    "fb_cache": "First-block cache: skip the rest of a step when its first block changes little.",
    "fb_cache_threshold": "In the provider's words, lower values reuse more aggressively: the opposite of the "
    "threshold of a local cache.",
    "tea_cache": "TeaCache: skip a step when its input changes little.",
    "tea_cache_distance": "In the provider's words, lower is quality and higher is speed: the opposite of "
    "fb_cache_threshold and db_cache_threshold.",
    "db_cache": "Dual-block cache: skip the middle blocks of a step.",
    "db_cache_threshold": "In the provider's words, lower values reuse more aggressively and higher ones prioritise "
    "quality: the opposite of the threshold of a local cache.",
    "db_cache_skip_interval": "Compute in full at every so many steps.",
    "model": "The provider's model id (AIR). It is looked up before anything is paid: the pages print runware:200@8 "
    "for Turbo and for Animate.",
    "fps": "Frames a second of the video.",
    "steps": "Sampling steps. The page says that Turbo needs 8, and that its default is 20.",
    "scheduler": "The provider's name for a sampler and a scheduler in one. Default is a name of its own among them.",
    "cfg_scale": "How closely the prompt is followed. At 1 or less the negative prompt has no effect.",
    "mode": "animate: the person of the image moves like the one in the video. replace: it takes that one's place.",
    "prev_seg_cond_frames": "Frames of each segment that the next one starts from.",
    "retarget_pose": "Fit the pose to the proportions of the person in the image. Only in mode animate.",
    "duration": "In seconds.",
    "generate_audio": "Make sound with the video. What it does beside a connected audio is not documented.",
    "webhook_url": "An address that the provider tells of each finished result. One with a token in it must not be "
    "in a graph: write it into keys.json as webhook of a profile, and give the name of the profile here.",
    "upload_endpoint": "The name of a profile in keys.json whose put is a signed address: the provider puts the result "
    "there, too. It is fetched here all the same.",
    "ttl": "For how many seconds the provider keeps the result at its address. It is fetched at once.",
    "prompt_extend": "A language model writes more into the prompt. The seed alone then doesn't repeat a result.",
}

LOGS = (
    "Show the newest line that the model writes at the provider under the node, and the last ones in info. Changes "
    "nothing of the job."
)

CONSENT = {
    "allow_paid": "Running this costs money, and it does nothing until you allow that and the provider has a budget "
    "under Settings, Wan Duet. The error before says the price where it is known.",
    "allow_upload": "Your images, videos and sounds are sent to the provider. Nothing is sent until you allow that.",
    "max_cost": "Refuse to run above this price. 0: no limit. A job of unknown price needs one, and takes that much of "
    "the budget until its cost is known.",
    "profile": "Which key to use: a name in keys.json. Never the key itself.",
    "on_interrupt": "What stopping the run means for the job: cancel it while it is queued, cancel it as far as the "
    "provider can, or keep it and collect it later. It is kept, too, where a sampler of the same graph notices the "
    "stop first.",
    "large_images": "What becomes of an image that has more bytes as PNG than the provider takes: refuse it, or send "
    "it in this format and quality, which loses a little. info says so. JPEG knows no transparency.",
    "force_new": "The same graph never pays twice: it collects the job it has. Change this number to buy it again.",
}
