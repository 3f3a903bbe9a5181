"""Spellings of variables and coordinates, as producers write them, against one house spelling.

House variable names are the ERA5 long names as in WeatherBench2 ("2m_temperature"); house coordinates are `time`
(issue time of a forecast, valid time of an analysis), `prediction_timedelta`, `number`, `station`, `level` [hPa],
`latitude`, `longitude`, `altitude`. Sources: ECMWF parameter database, CF standard names, NCEP wgrib2 and NCL naming,
WRF registry, ACE, Verif, climpred, KMA table headers. An unknown name stays as it is.
"""

import re
import unicodedata
from collections.abc import Mapping

# Spellings are compared exactly first ("T" of WRF is not "t" of ECMWF), then, from three letters on, without case.
VARIABLES: dict[str, str] = {
    "2m_temperature": "t2m 2t T2 T2M tas TMP_2maboveground TMP_P0_L103_GLL0 TMP_GDS0_HTGL air_temperature_2m "
    "temperature_2m "
    "t_2m tmp2m temp2m TREFHT VAR_2T 2m_air_temperature air_temperature_at_2m TMP2m 2_metre_temperature tsair",
    "2m_dewpoint_temperature": "d2m 2d DPT_2maboveground DPT_P0_L103_GLL0 VAR_2D dewpoint_2m dew_point_2m td2m TD2 "
    "tdps",
    "2m_relative_humidity": "r2 2r rh2m RH_2maboveground RH_P0_L103_GLL0 hurs RH2 relative_humidity_2m rhum_2m",
    "2m_specific_humidity": "sh2 2sh q2m Q2 SPFH_2maboveground SPFH_P0_L103_GLL0 huss Q2m",
    "minimum_2m_relative_humidity": "r2_min rh2m_min",
    "maximum_2m_relative_humidity": "r2_max rh2m_max",
    "maximum_2m_temperature_since_previous_post_processing": "mx2t TMAX_2maboveground TMAX_P8_L103_GLL0_max",
    "minimum_2m_temperature_since_previous_post_processing": "mn2t TMIN_2maboveground TMIN_P8_L103_GLL0_min",
    "maximum_2m_temperature_in_the_last_24_hours": "mx2t24 tasmax maximum_2m_temperature_24h 일최고기온",
    "minimum_2m_temperature_in_the_last_24_hours": "mn2t24 tasmin minimum_2m_temperature_24h 일최저기온",
    "maximum_2m_temperature_in_the_last_6_hours": "mx2t6",
    "minimum_2m_temperature_in_the_last_6_hours": "mn2t6",
    "maximum_2m_temperature_in_the_last_3_hours": "mx2t3",
    "minimum_2m_temperature_in_the_last_3_hours": "mn2t3",
    "skin_temperature": "skt TMP_surface TMP_P0_L1_GLL0 TSK VAR_SKT TS",
    "sea_surface_temperature": "sst SST SSTK VAR_SSTK tos",
    "10m_u_component_of_wind": "u10 10u U10 U10M uas UGRD_10maboveground UGRD_P0_L103_GLL0 VAR_10U u10m u_10m "
    "eastward_wind_10m 10m_eastward_wind",
    "10m_v_component_of_wind": "v10 10v V10 V10M vas VGRD_10maboveground VGRD_P0_L103_GLL0 VAR_10V v10m v_10m "
    "northward_wind_10m 10m_northward_wind",
    "10m_wind_speed": "si10 10si ws10 sfcWind WIND_10maboveground WSPD10 wind_speed_10m ff10 windspeed_10m wspd10",
    "10m_wind_direction": "wdir10 10wdir wd10 wind_direction_10m WDIR_10maboveground dd10 winddir_10m",
    "10m_wind_gust_since_previous_post_processing": "fg10 10fg wind_gusts_10m",
    "instantaneous_10m_wind_gust": "i10fg gust GUST_surface GUST_P0_L1_GLL0 wsgsmax",
    "100m_u_component_of_wind": "u100 100u UGRD_100maboveground",
    "100m_v_component_of_wind": "v100 100v VGRD_100maboveground",
    "100m_wind_speed": "si100 100si ws100 wind_speed_100m",
    "mean_sea_level_pressure": "msl mslp MSLMA PRMSL_meansealevel PRMSL_P0_L101_GLL0 MSLET_meansealevel psl prmsl "
    "pmsl slp "
    "VAR_MSL mean_sea_level_press air_pressure_at_mean_sea_level",
    "surface_pressure": "sp PSFC PRES_surface PRES_P0_L1_GLL0 PRESsfc VAR_SP surface_air_pressure psurf",
    "total_precipitation": "tp APCP_surface APCP_P8_L1_GLL0_acc APCPsfc total_precip precip_total RAINTOT VAR_TP",
    "total_precipitation_6hr": "tp06 tp6",
    "precipitation_rate": "prate PRATE_surface pr PRATEsfc",
    "convective_precipitation": "cp RAINC ACPCP_surface",
    "large_scale_precipitation": "lsp RAINNC NCPCP_surface",
    "snowfall": "sf snowfall_water_equivalent",
    "snow_depth": "sd",
    "surface_solar_radiation_downwards": "ssrd GHI global_radiation swdown SWDOWN DSWRF_surface rsds DSWRFsfc "
    "surface_downwelling_shortwave_flux_in_air surface_downwelling_shortwave_flux shortwave_radiation",
    "surface_thermal_radiation_downwards": "strd GLW DLWRF_surface rlds surface_downwelling_longwave_flux_in_air "
    "DLWRFsfc",
    "surface_net_solar_radiation": "ssr",
    "surface_net_thermal_radiation": "str",
    "toa_incident_solar_radiation": "tisr",
    "surface_latent_heat_flux": "slhf LHTFL_surface LHTFLsfc hfls LH",
    "surface_sensible_heat_flux": "sshf SHTFL_surface SHTFLsfc hfss HFX",
    "total_cloud_cover": "tcc clt TCDC_entireatmosphere TCDC_P0_L10_GLL0 cloud_cover cloudcover cloud_area_fraction",
    "low_cloud_cover": "lcc",
    "medium_cloud_cover": "mcc",
    "high_cloud_cover": "hcc",
    "boundary_layer_height": "blh PBLH HPBL_surface zmla",
    "convective_available_potential_energy": "cape CAPE_surface",
    "total_column_water_vapour": "tcwv prw PWAT_entireatmosphere_consideredasasinglelayer_",
    "total_column_water": "tcw",
    "visibility": "vis VIS_surface 시정",
    "sea_ice_cover": "siconc ci sea_ice_area_fraction ICEC_surface",
    "land_sea_mask": "lsm LAND_surface LANDMASK sftlf land_area_fraction land_fraction",
    "geopotential_at_surface": "zs surface_geopotential",
    "geopotential": "z phi",
    "geopotential_height": "gh zg geopotential_height_isobaric",
    "temperature": "t ta TMP air_temperature",
    "u_component_of_wind": "u ua UGRD eastward_wind",
    "v_component_of_wind": "v va VGRD northward_wind",
    "vertical_velocity": "w omega wap VVEL lagrangian_tendency_of_air_pressure",
    "specific_humidity": "q hus SPFH specific_total_water",
    "relative_humidity": "r hur RELHUM",
    "vorticity": "vo relative_vorticity atmosphere_relative_vorticity",
    "divergence": "d",
    "potential_vorticity": "pv",
    "specific_cloud_ice_water_content": "ciwc",
    "specific_cloud_liquid_water_content": "clwc",
    "soil_temperature_level_1": "stl1",
    "volumetric_soil_water_layer_1": "swvl1",
    "particulate_matter_10um": "pm10 PM10 10PM PM10_ugm3 mass_concentration_of_pm10_ambient_aerosol_in_air 미세먼지 "
    "미세먼지(PM10)",
    "particulate_matter_2.5um": "pm2p5 pm2_5 pm2.5 PM2.5 PM25 pm25 25PM "
    "mass_concentration_of_pm2p5_ambient_aerosol_in_air "
    "초미세먼지 초미세먼지(PM2.5)",
}

# Column headers of station tables, where "temperature" can only be the one of the thermometer screen.
STATION_VARIABLES: dict[str, str] = {
    "2m_temperature": "temperature temp ta tair air_temperature airtemp tmpf tmpc temp_c temp_f tmp t 기온 1시간기온 "
    "현재기온",
    "2m_dewpoint_temperature": "dewpoint dew_point td dwpf dwpc dwpt dewp 이슬점온도 이슬점",
    "2m_relative_humidity": "relative_humidity rh hm humidity relh rhum hum 습도 상대습도",
    "10m_wind_speed": "wind_speed windspeed ws wspd ff sknt wind_kt 풍속 wnd_spd",
    "10m_wind_direction": "wind_direction winddir wd wdir drct dd 풍향",
    "instantaneous_10m_wind_gust": "wind_gust gust_speed",
    "surface_pressure": "station_pressure pa press 현지기압",
    "mean_sea_level_pressure": "ps pressure_msl mslp_hpa sea_level_pressure alti_msl 해면기압",
    "total_precipitation": "precipitation precip rain rainfall rn prcp p01i p01m rr 강수량 1시간강수량 일강수량",
    "surface_solar_radiation_downwards": "si radiation solar_radiation iobs global_irradiance 일사 일사량",
    "total_cloud_cover": "clouds 전운량",
    "snow_depth": "snow 적설",
    "vapour_pressure": "pv 증기압",
    "skin_temperature": "ts 지면온도",
    "precipitation_probability": "강수확률",
}

# Units that a column name itself states (Iowa Environmental Mesonet and similar exports).
UNITS_IN_NAME: dict[str, str] = {
    "tmpf": "degF",
    "dwpf": "degF",
    "temp_f": "degF",
    "tmpc": "degC",
    "dwpc": "degC",
    "temp_c": "degC",
    "sknt": "kt",
    "wind_kt": "kt",
    "relh": "%",
    "drct": "degrees",
    "p01i": "inch",
    "p01m": "mm",
    "mslp_hpa": "hPa",
}

# Column headers of station tables that hold the valid time, best claim first; dates and hours may stand in two columns.
TIME_COLUMNS = [
    "valid_time",
    "datetime",
    "date_time",
    "timestamp",
    "obs_time",
    "observation_time",
    "일시",
    "관측시각",
    "관측일시",
    "측정일시",
    "tm",
    "valid",
    "time_utc",
    "utc",
    "time",
    "date",
    "날짜",
    "일자",
    "day",
    "측정일",
]
DAY_COLUMNS = ["date", "day", "날짜", "일자", "관측일", "측정일"]
HOUR_COLUMNS = ["time", "hour", "hr", "시간", "시각", "시", "hh"]

ISSUE_TIME = [
    "forecast_reference_time",
    "reftime",
    "ref_time",
    "init",
    "init_time",
    "inittime",
    "initial_time",
    "initialization_time",
    "initialisation_time",
    "init_date",
    "run",
    "run_time",
    "runtime",
    "run_date",
    "issue",
    "issue_time",
    "issued",
    "issued_at",
    "base_time",
    "basetime",
    "analysis_time",
    "reference_time",
    "model_run",
    "initial_time0_hours",
    "initial_time0",
    "cycle",
]
VALID_TIME = ["valid_time", "valid", "validtime", "time_valid", "verification_time", "target_time"]
ANY_TIME = ["time", "date", "datetime", "timestamp", "t_axis"]
COORDINATES: dict[str, str] = {
    "prediction_timedelta": "step forecast_period lead lead_time leadtime fhr fxx hors horizon forecast_hour "
    "forecast_hours "
    "forecast_time0 forecast_time1 lead_hours lead_hour forecast_lead_time fcst_hour tau",
    "number": "member ensemble realization realisation ensemble_member ens ensemble0 ens_member members",
    "station": "station_id stationid stations site site_id location location_id wmo_id wmo stn stnid stn_id "
    "station_index "
    "station_name point site_name loc farm obs_station 지점 지점명 지점번호 측정소 측정소명",
    "level": "isobaricInhPa isobaricInPa pressure_level plev lv_ISBL0 lv_ISBL1 isobaric pressure_levels levelist",
    "latitude": "lat XLAT XLAT_M lat_0 gridlat_0 nav_lat g0_lat_0 lats y_lat 위도",
    "longitude": "lon long XLONG XLONG_M lon_0 gridlon_0 nav_lon g0_lon_1 lons lng x_lon 경도",
    "altitude": "elevation elev alt height DEM dem station_elevation station_height station_altitude surface_altitude "
    "orography "
    "orog HGT HGT_surface HGT_P0_L1_GLL0 topography elevation_m 고도 표고 해발고도",
}
_STANDARD = {
    "forecast_reference_time": "time",
    "forecast_period": "prediction_timedelta",
    "realization": "number",
    "latitude": "latitude",
    "longitude": "longitude",
    "surface_altitude": "altitude",
}


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _lookup(tables: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    exact = {alias: house for house, text in tables.items() for alias in (house, *text.split())}
    folded: dict[str, str] = {}
    for alias, house in exact.items():
        if len(alias) > 2 or not alias.isascii():
            folded.setdefault(_fold(alias), house)
    return exact, folded


_EXACT, _FOLDED = _lookup(VARIABLES)
_STATION_EXACT, _ = _lookup(STATION_VARIABLES)
_STATION_FOLDED = {_fold(alias): house for alias, house in _STATION_EXACT.items()}
_COORDINATE, _COORDINATE_FOLDED = _lookup(COORDINATES)
_TIME_ROLE = {
    _fold(name): role
    for role, names in (("issue", ISSUE_TIME), ("valid", VALID_TIME), ("any", ANY_TIME))
    for name in names
}


def house_name(name: str, attrs: Mapping[str, object] | None = None, *, station_table: bool = False) -> str:
    """The house name of a variable, from its own name, its GRIB short name, then its CF standard name.

    Args:
        name: the name in the file.
        attrs: the variable's attributes.
        station_table: also accept the headers of station tables ("temp", "기온").

    Returns:
        The house name, or `name` in NFC form where none is known.
    """
    attrs = attrs or {}
    text = unicodedata.normalize("NFC", str(name)).strip()
    short = str(attrs.get("GRIB_shortName", attrs.get("short_name", "")))
    standard = str(attrs.get("standard_name", ""))
    if station_table and _fold(text) in _STATION_FOLDED:
        return _STATION_FOLDED[_fold(text)]
    found = _EXACT.get(text) or _FOLDED.get(_fold(text)) or _EXACT.get(short)
    # A standard name of two words or more that the table lists; "air_temperature" alone does not tell the height.
    if found is None and standard.count("_") >= 2:
        found = _EXACT.get(standard)
    if found is None and re.match(r"(TMP|UGRD|VGRD|SPFH|RH|HGT|VVEL)_(P\d|\d+mb)", text):
        return text
    return found or text


def coordinate_name(name: str, attrs: Mapping[str, object] | None = None) -> str | None:
    """House name of a coordinate other than the times, or None; the CF standard name and the units of degrees count "
    "too."""
    attrs = attrs or {}
    standard = str(attrs.get("standard_name", ""))
    units = str(attrs.get("units", ""))
    found = _COORDINATE.get(name) or _COORDINATE_FOLDED.get(_fold(name))
    if found:
        return found
    if standard in _STANDARD and _STANDARD[standard] != "time":
        return _STANDARD[standard]
    if re.fullmatch(r"degrees?_?(north|n)", units, re.IGNORECASE):
        return "latitude"
    if re.fullmatch(r"degrees?_?(east|e)", units, re.IGNORECASE):
        return "longitude"
    return None


def time_role(name: str, attrs: Mapping[str, object] | None = None) -> str | None:
    """ "issue", "valid", "any" (the name does not tell) or None for a coordinate that is no time."""
    standard = str((attrs or {}).get("standard_name", ""))
    if standard == "forecast_reference_time":
        return "issue"
    return _TIME_ROLE.get(_fold(name)) or ("any" if standard == "time" else None)
